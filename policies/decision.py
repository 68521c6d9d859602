"""The values that cross the limiter's face: what is asked (`Charge`) and what is answered (`Decision`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from policies.entities import RateLimitPolicy
from policies.local import LocalEntry


@dataclass(frozen=True, slots=True)
class Charge:
    """One policy's window for one subject, and what a request costs there.

    `Charge(policy, subject="acme", cost=1)`
    """

    policy: RateLimitPolicy
    subject: str = ""
    """Whom the window is kept for, such as the tenant's name; empty for GLOBAL."""
    cost: int = 1
    """In the policy's unit; 1 to 10^9. For tokens this is a reservation, corrected by `settle`."""
    slot: str | None = None
    """Windows with the same `slot` live on the same node of a Redis Cluster, and are decided together there.
    Without effect on a single Redis. Where absent: the policy's scope and the subject."""
    shard: int | None = None
    """Which part of a window that its policy splits (`shards`), from 0; chosen by the limiter where absent."""


class Window(NamedTuple):
    """What one charge found in its window."""

    policy: str
    """Name of the policy, as in `"tenant-burst"`."""
    scope: str
    """Its scope, as in `"TENANT"`."""
    subject: str
    """Whom the window is kept for, as in `"acme"`."""
    unit: str
    """What it counts, as in `"requests"`."""
    limit: int
    """Most that the window may hold, in that unit, as in `100`. Of a window split by `shards`, everything said here is
    said of the one part that was asked: its share of the limit, and what it holds."""
    window_s: float
    """How far it looks back, in seconds, as in `60.0`; for leases, how long one lasts without renewal."""
    cost: int
    """What this request was to take, in that unit, as in `1`."""
    used: int
    """What the window holds after this decision, as in `38`."""
    remaining: int
    """What is left in it after this decision, never negative, as in `62`."""
    fits: bool
    """Whether this charge alone would be allowed."""
    retry_after_s: float
    """Exact seconds after which this charge fits if nothing else is admitted; 0 where it fits, as in `0.412`."""
    reset_after_s: float
    """Seconds until the oldest entry leaves and gives its room back; 0 where the window is empty, as in `12.081`."""
    enforced: bool
    """False for a policy in shadow mode: what it finds does not deny."""


@dataclass(slots=True)
class Ending:
    """Whether a decision was settled or cancelled: what makes doing it twice harmless at any time."""

    done: bool = False
    settled: set[str] = field(default_factory=set)
    """Hash tags whose charges are settled already, where others are not."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request: all of its charges were logged, or none was."""

    id: str
    """Unique; holds the leases. As in `"0cT5xk2mQ9aZ"`."""
    allowed: bool
    """Whether every enforced window had room."""
    retry_after_s: float
    """Exact seconds after which this same request fits if nothing else is admitted; 0 where allowed, as in `0.412`."""
    denied_by: str | None
    """Name of the policy that makes it wait longest, as in `"tenant-burst"`; None where allowed."""
    time_s: float
    """The server's clock at the decision, in seconds since 1970, as in `1764000000.123`."""
    windows: tuple[Window, ...]
    """One for each charge, in the order asked."""
    degraded: bool = False
    """Whether Redis could not be asked, and each policy's `on_redis_failure` decided instead."""
    _charges: tuple[Charge, ...] = field(default=(), repr=False)
    _entries: tuple[tuple[int, int], ...] = field(default=(), repr=False)
    """Server time in ms and ordinal of each charge's entry; (0, 0) where nothing was logged."""
    _local: tuple[LocalEntry | None, ...] = field(default=(), repr=False, compare=False)
    """Each charge's entry in this process, where the decision is degraded."""
    _ending: Ending = field(default_factory=Ending, repr=False, compare=False)
    _once_ms: int = field(default=0, repr=False, compare=False)
    """For how long Redis itself is to remember that this was settled: for decisions that any process may settle, where
    `_ending` is not enough. 0 for all others."""

    @property
    def denying(self) -> Window | None:
        """The window that denied, or None."""
        return next((w for w in self.windows if w.policy == self.denied_by and not w.fits), None)

    @property
    def holds_leases(self) -> bool:
        """Whether it holds something that must be renewed while the request runs."""
        return self.allowed and any(charge.policy.is_lease for charge in self._charges)


Actual = Mapping[str, int]
"""What was really used, by unit: `{"total_tokens": 412}`. Units left out stay as they were reserved."""
