"""docs/benchmarks.md: a section for each part. What is written by hand stands outside of the markers of its part."""

from loadtests.bench.report.results import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def write_section(part: str, text: str) -> None:
    """Replaces what stands between the markers of a part."""
    PAGE.write_text(with_section(PAGE.read_text(), part, text))


def with_section(page: str, part: str, text: str) -> str:
    """The page with this between the part's markers."""
    begin, end = f"<!-- bench-{part}: begin -->", f"<!-- bench-{part}: end -->"
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{PAGE} lacks the markers {begin} and {end}: add them where the section belongs")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"
