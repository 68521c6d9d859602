"""Counted values as an exporter takes them. What is counted, and where, is each deployment's own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from deployments.metrics.definitions import OTHER, Metric
from policies.counts import EDGES_S, Times


class Reading(NamedTuple):
    """One series as it is now: of a counter, all since this process began."""

    name: str
    gauge: bool
    labels: tuple[tuple[str, str], ...]
    value: float


Source = Callable[[], Iterable[Reading]]
"""What there is to export."""


def reading(metric: Metric, labels: Sequence[str], value: float) -> Reading:
    """Of a counter or gauge; `labels` in the metric's own order."""
    return Reading(metric.name, metric.kind == "gauge", tuple(zip(metric.labels, labels, strict=True)), value)


def times(metric: Metric, labels: Sequence[str], counted: Times) -> Iterator[Reading]:
    """Of a histogram in the buckets of `EDGES_S`."""
    return histogram(metric, labels, EDGES_S, counted.counts, counted.sum_s)


def histogram(
    metric: Metric, labels: Sequence[str], edges_s: Sequence[float], counts: Sequence[int], sum_s: float
) -> Iterator[Reading]:
    """`counts` by bucket, not added up; one more than there are edges. As Prometheus has it, each bucket holds all that
    is shorter too. A bucket that holds nothing is not told, except the last."""
    named = tuple(zip(metric.labels, labels, strict=True))
    for edge, count in zip((*edges_s, None), accumulate(counts), strict=True):
        if count or edge is None:
            le = "+Inf" if edge is None else f"{edge:g}"
            yield Reading(f"{metric.name}_bucket", False, (*named, ("le", le)), count)
    yield Reading(f"{metric.name}_count", False, named, sum(counts))
    yield Reading(f"{metric.name}_sum", False, named, sum_s)


class Names:
    """Names that become values of a label: as many as may, and `_other` for those that come later."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, name: str) -> str:
        if name in self._known:
            return name
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        return name
