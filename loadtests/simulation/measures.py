"""What runs are judged by."""

from collections.abc import Sequence
from math import ceil

from loadtests.simulation.pool import Sample


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least this part of all do not exceed; 0 of none."""
    return sorted(values)[max(0, ceil(part * len(values)) - 1)] if values else 0.0


def jain(values: Sequence[float]) -> float:
    """Jain's fairness index: 1 where all have the same, 1/n where one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def lowest_jain(samples: Sequence[Sample], tenants: Sequence[str], window_s: float) -> float:
    """The lowest index among these tenants, in tokens served, over windows that follow one another."""
    lowest, since = 1.0, samples[0]
    for sample in samples[1:]:
        if sample.at_s - since.at_s >= window_s:
            lowest = min(lowest, jain([sample.tokens[name] - since.tokens[name] for name in tenants]))
            since = sample
    return lowest
