"""What a pool has done and how it stands, as frozen values for metrics and pages."""

from dataclasses import dataclass

WAIT_BUCKETS_S = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Upper edges of the buckets in which waits are counted, in seconds; a last bucket holds what is longer."""


@dataclass(frozen=True, slots=True)
class BandStatistics:
    """One band of one pool. Counts are since the pool was added."""

    name: str
    waiting: int
    """Requests in the queue now."""
    running: int
    """Slots in use by requests that the scheduler started."""
    leased: int
    """Slots on loan, busy or not."""
    reserve_slots: int
    """What its reserve is in whole slots at the pool's present capacity."""
    cap_slots: int
    """What its cap is in whole slots at the pool's present capacity."""
    started: int
    completed: int
    cancelled: int
    shed_full: int
    """Shed because the queue was full, those included that made room for a tenant with a shorter queue."""
    shed_timeout: int
    """Shed on arrival because the expected wait was too long."""
    expired: int
    """Given up when their time had passed."""
    overtakings: int
    """Starts that went before a request of the same pool that had come earlier and still waits."""
    waited_s: float
    """Sum of the waits of those that started, in seconds."""
    longest_wait_s: float
    """Longest wait of one that started, in seconds."""
    wait_counts: tuple[int, ...]
    """Waits of those that started, by bucket (`WAIT_BUCKETS_S`, and one for what is longer)."""
    charged_tokens: int
    """Tokens charged to its tenants: estimates of what runs, what was used by what ended."""

    @property
    def used(self) -> int:
        """Slots that count against reserve, cap and capacity."""
        return self.running + self.leased


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """One pool."""

    name: str
    capacity: int
    """Slots it has now."""
    used: int
    """Slots in use or on loan; above `capacity` only after the pool has shrunk."""
    drain_per_s: float | None
    """How many requests a full pool finishes a second (slots over the mean holding time); None while not known."""
    bands: tuple[BandStatistics, ...]
    """Highest first."""

    @property
    def waiting(self) -> int:
        return sum(band.waiting for band in self.bands)
