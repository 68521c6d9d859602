"""Generated parts of Markdown pages: each stands between markers of its own name, and nothing else is touched."""

import re
from collections.abc import Iterable, Mapping, Sequence

from loadtests.bench.growth.spread import Spread


class MarkersError(Exception):
    """A page and what is to be written into it do not fit each other."""


def markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def names(page: str) -> list[str]:
    """Of all parts, in the page's order. Raises `MarkersError` where they are not pairs, one after the other."""
    found = re.findall(r"<!-- ([a-z-]+): (begin|end) -->", page)
    begun, ended = found[::2], found[1::2]
    pairs = [(name, "end") for name, _ in begun]
    if any(what != "begin" for _, what in begun) or ended != pairs or len({name for name, _ in begun}) < len(begun):
        raise MarkersError(f"markers that are not pairs: {found}")
    return [name for name, _ in begun]


def part(page: str, name: str) -> str:
    """What stands between the markers."""
    begin, end = markers(name)
    _, found, rest = page.partition(begin)
    inside, also, _ = rest.partition(end)
    if not found or not also:
        raise MarkersError(f"the page lacks the markers {begin} and {end}")
    return inside.strip("\n")


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with these parts in their places."""
    for name, text in parts.items():
        part(page, name)  # raises where it has no place
        begin, end = markers(name)
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}"
    return page


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column is text, the others are figures."""
    lines = [_line(header), "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join(lines + [_line(row) for row in rows])


def cells(text: str) -> list[list[str]]:
    """The rows of every table in a text, without their header's rule."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if not set("".join(row)) <= set("-: ")]


def number(value: float) -> str:
    """Three digits, or all before the point."""
    if value and abs(value) < 1:
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def told(figure: Spread, scale: float = 1.0) -> str:
    """`12 (11-14)`: the median and from where to where the rounds went."""
    low, middle, high = (number(figure[which] * scale) for which in ("min", "median", "max"))
    return middle if low == high else f"{middle} ({low}-{high})"


def _line(row: Sequence[str]) -> str:
    return "| " + " | ".join(row) + " |"
