"""What the ingress may rely on: slots in pools, calls on their replicas, and why there may be none. Without Ray."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from deployments.router.exchange.holder import Slot
from deployments.router.exchange.messages import Wanted
from deployments.router.scheduler.statistics import BandStatistics, PoolStatistics

__all__ = [
    "AdmissionError",
    "BandStatistics",
    "Census",
    "ModelFailedError",
    "PoolStatistics",
    "PoolUnavailableError",
    "Pools",
    "QueueFullError",
    "QueueTimeoutError",
    "RouterAwayError",
    "Slot",
    "Wanted",
]

Census = Mapping[tuple[str, str, str], tuple[int, int, float]]
"""By pool, band and tenant: requests that wait, requests that run, seconds that the first in the queue has waited."""


class AdmissionError(Exception):
    """Base: no slot for this request."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """When asking again may help, in seconds."""


class QueueFullError(AdmissionError):
    """More requests wait for this pool than may, or longer than this one is willing to."""


class QueueTimeoutError(AdmissionError):
    """This request has waited for as long as it may."""


class PoolUnavailableError(AdmissionError):
    """No replica of this pool can serve."""


class RouterAwayError(Exception):
    """The router does not answer. Requests wait until it does, or until their time is up."""


class ModelFailedError(Exception):
    """The model began this request and could not finish it."""


class Pools(Protocol):
    """Slots in pools, and calls on their replicas."""

    def start(self) -> None:
        """Begins what goes on in the background, on the event loop that serves; again does nothing. Without it the
        first request does, and waits for what could have been agreed before."""

    async def admit(self, wanted: Wanted) -> Slot:
        """A slot, which `release` must give back; at once where one is free.

        Raises `AdmissionError`. A caller that is cancelled leaves the queue.
        """

    def release(self, slot: Slot, tokens: int | None) -> None:
        """The request that had this slot has ended, having used this many tokens; None where it never ran."""

    async def call(self, pool: str, method: str, argument: Any) -> Any:
        """One whole reply."""

    def stream(self, pool: str, method: str, argument: Any) -> AsyncIterator[Any]:
        """A reply in pieces. Closing the iterator cancels the call on the replica."""

    def census(self) -> Census:
        """How this ingress's requests stand, by pool, band and tenant: how many wait, how many run, and for how many
        seconds the first in the queue has waited. Empty where nobody queues here."""

    @property
    def walked(self) -> int:
        """How many requests `census` would walk through: what it costs."""

    async def statistics(self) -> Sequence[PoolStatistics]:
        """How every pool stands, for all ingresses. Raises `RouterAwayError`."""

    async def close(self) -> None:
        """Ends what goes on in the background."""

    async def unready(self) -> list[str]:
        """What keeps the pools from serving, one sentence each; empty when they can."""
