"""The values that cross the scheduler's face: what is asked, and what is answered (`Outcome`).

Every answer names the holder (the ingress replica) it is for, so that answers can be sorted into batches.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import inf


@dataclass(frozen=True, slots=True)
class Request:
    """One request for one slot."""

    id: str
    """Unique among all that wait or run, as in `"chatcmpl-5d1f"`. Submitting one again is harmless."""
    holder: str
    """The ingress replica that will run it and say when it ended."""
    pool: str
    """Whose slots it needs."""
    band: str
    """The QoS tier it waits in, as in `"premium"`."""
    tenant: str
    """Who shares the band with others."""
    cost_tokens: int
    """What it is expected to use (input, and the reply's cap), charged when it starts and corrected when it ends."""
    weight: float = 1.0
    """The tenant's share of the band against other tenants; above 0."""
    deadline_in_s: float = inf
    """It must have started within so many seconds from now. The band's longest wait holds as well."""


@dataclass(frozen=True, slots=True)
class Running:
    """A request that a holder reports as started by the scheduler and not ended (not one on a lent slot)."""

    request: Request
    running_for_s: float = 0.0
    """How long it has run, in seconds."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Slots of one band of one pool that a holder has on loan, busy or not."""

    pool: str
    band: str
    slots: int


class ShedReason(StrEnum):
    """Why a request will not run here; the error code of the reply."""

    QUEUE_FULL = "queue_full"
    """As many wait as may."""
    QUEUE_TIMEOUT = "queue_timeout"
    """It would wait (on arrival: is expected to wait) for longer than it may."""
    POOL_GONE = "pool_gone"
    """The pool was removed while it waited."""


@dataclass(frozen=True, slots=True)
class Started:
    """The request holds a slot from now until `complete`, `cancel`, or `forget` of its holder."""

    id: str
    holder: str
    pool: str
    band: str
    waited_s: float
    """Time in the queue, in seconds, as in `0.412`; 0 where it did not wait."""


@dataclass(frozen=True, slots=True)
class Shed:
    """The request will not run, and is forgotten."""

    id: str
    holder: str
    pool: str
    band: str
    reason: ShedReason
    waited_s: float
    """Time in the queue, in seconds: 0 for one shed on arrival, the time waited for one that expired or made room."""
    retry_after_s: float
    """Seconds after which the same request is expected to be taken, if nobody else comes meanwhile."""
    estimated: bool
    """Whether `retry_after_s` comes from the measured drain rate. Where none is known yet (no request of the pool has
    ended, or it has no slots), it is `UNKNOWN_RETRY_AFTER_S`, and nobody is shed for an expected wait."""


@dataclass(frozen=True, slots=True)
class Recall:
    """The holder gives back `slots` of what it has on loan: those that are idle now, the others as they fall free.

    It starts nothing more on them. They count as used until `return_lease` has said that they are back.
    """

    holder: str
    pool: str
    band: str
    slots: int
    """Newly recalled, besides what was recalled before."""


Outcome = Started | Shed | Recall

UNKNOWN_RETRY_AFTER_S = 1.0
"""What a shed request is told while the drain rate is not known, in seconds."""
