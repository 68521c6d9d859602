"""Generated parts of pages, as docs/benchmarks.md: each between markers of its own name; nothing else is touched."""

from collections.abc import Mapping
from pathlib import Path

from loadtests.bench.report.results import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def write_section(part: str, text: str) -> None:
    """Replaces what stands between the markers of a part."""
    write(PAGE, {f"bench-{part}": text})


def write(path: Path, sections: Mapping[str, str]) -> None:
    """Fills sections of a page, by the names in their markers; all of them or none."""
    page = path.read_text()
    for name, text in sections.items():
        page = with_section(page, name, text)
    path.write_text(page)


def with_section(page: str, name: str, text: str) -> str:
    """The page with this between the markers of that name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"the page lacks the markers {begin} and {end}: add them where the section belongs")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"
