"""Medians with the spread that they come from."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

Spread = dict[str, float]
"""`median`, `low` and `high` over the rounds."""


def spread_of(values: Iterable[float]) -> Spread:
    """Over the rounds; five digits say all that there is."""
    found = list(values)
    return {name: float(f"{of(found):.5g}") for name, of in (("median", median), ("low", min), ("high", max))}


def spreads(rounds: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Of every field, over the rounds."""
    return {field: spread_of(each[field] for each in rounds) for field in rounds[0]}


def ratio(ours: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]], field: str) -> Spread:
    """Of what was measured in the same round."""
    return spread_of(mine[field] / other[field] for mine, other in zip(ours, base, strict=True))
