"""Tables in Markdown, and figures as they stand in them."""

from collections.abc import Iterable, Mapping, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """One table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def number(figure: float) -> str:
    """Three digits that count; all of them of large numbers."""
    if figure >= 1_000:
        return f"{figure:,.0f}"
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.4g}" if figure < 1 else f"{figure:.3g}"


def spread(low: float, high: float) -> str:
    """From the least of the rounds to the most."""
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def told(figure: Mapping[str, float]) -> str:
    """`12 (11 to 14)`: the median of the rounds, and from where to where they went."""
    middle, low, high = (figure[name] for name in ("median", "low", "high"))
    return number(middle) if low == high else f"{number(middle)} ({spread(low, high)})"
