"""Medians with the spread that they come from."""

from collections.abc import Iterable, Sequence
from statistics import median

Spread = dict[str, float]
"""`median`, `min` and `max` over the rounds."""


def spread(values: Iterable[float]) -> Spread:
    found = list(values)
    return {"median": _short(median(found)), "min": _short(min(found)), "max": _short(max(found))}


def spreads(rounds: Sequence[dict[str, float]]) -> dict[str, Spread]:
    """Of every field, over the rounds."""
    return {field: spread(each[field] for each in rounds) for field in rounds[0]}


def ratio(ours: Sequence[dict[str, float]], base: Sequence[dict[str, float]], field: str) -> Spread:
    """Of what was measured in the same round."""
    return spread(mine[field] / other[field] for mine, other in zip(ours, base, strict=True))


def _short(value: float) -> float:
    """Four digits say all that there is."""
    return float(f"{value:.4g}")
