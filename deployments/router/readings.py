"""How every pool stands, as metrics."""

from collections.abc import Iterable, Iterator

from deployments.metrics.definitions import QUEUE, QUEUE_OUTCOMES, QUEUE_WAIT, SLOTS, SLOTS_USED
from deployments.metrics.readings import Reading, histogram, reading
from deployments.router.scheduler.statistics import WAIT_BUCKETS_S, PoolStatistics

_OUTCOMES = ("started", "cancelled", "shed_full", "shed_timeout", "expired")
"""Fields of `BandStatistics` that count what became of requests."""


def router_readings(statistics: Iterable[PoolStatistics]) -> Iterator[Reading]:
    """The router's metrics. Pools and bands stand in the configuration, so there are few."""
    for pool in statistics:
        yield reading(SLOTS, (pool.name,), pool.capacity)
        for band in pool.bands:
            whose = (pool.name, band.name)
            yield reading(QUEUE, whose, band.waiting)
            yield reading(SLOTS_USED, whose, band.used)
            yield from histogram(QUEUE_WAIT, whose, WAIT_BUCKETS_S, band.wait_counts, band.waited_s)
            for outcome in _OUTCOMES:
                yield reading(QUEUE_OUTCOMES, (*whose, outcome), getattr(band, outcome))
