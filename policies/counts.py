"""What the limiter has done in this process, in plain numbers: for whoever exports them (`deployments.metrics`).

Counting stands on the way of requests, so nothing here locks, allocates or calls out: a bisection at most.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

EDGES_S = (
    *(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
"""Upper edges of the buckets in which times are counted, in seconds, each inclusive; a last bucket has the longer."""


class Times:
    """A histogram of times with fixed buckets."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(EDGES_S) + 1)
        """By bucket of `EDGES_S`, not added up."""
        self.sum_s = 0.0

    def add(self, time_s: float) -> None:
        self.counts[bisect_left(EDGES_S, time_s)] += 1
        self.sum_s += time_s


@dataclass(slots=True)
class LimiterCounts:
    """Since this process began."""

    exchange: Times = field(default_factory=Times)
    """Exchanges with Redis that were answered: a batch of calls sent, and all of their replies read."""
    redis_failures: Counter[str] = field(default_factory=Counter)
    """By what happened: `timeout` (a call whose deadline passed), `exchange` (a batch whose connection failed)."""
    fallbacks: Counter[str] = field(default_factory=Counter)
    """Decisions without Redis, by outcome: `allowed`, `denied`, `refused` (an enforced policy says `deny`)."""
    from_memory: int = 0
    """Denials of blocked requests, answered without Redis."""
    settlements: Counter[str] = field(default_factory=Counter)
    """By outcome: `settled`, `undone` (the request never ran), `given_up` (Redis was away for too long)."""
    leases_expired: int = 0
    """Requests of which a lease had run out while they still ran."""
