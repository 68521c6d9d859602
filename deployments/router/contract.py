"""What the ingress may rely on: a call on a pool's replicas, and why there may be none. Knows nothing of Ray."""

from collections.abc import AsyncIterator
from typing import Any, Protocol


class AdmissionError(Exception):
    """Base: no slot for this request."""


class QueueFullError(AdmissionError):
    """More requests wait for this pool than may."""


class PoolUnavailableError(AdmissionError):
    """No replica of this pool can serve."""


class ModelFailedError(Exception):
    """The model began this request and could not finish it."""


class Pools(Protocol):
    """Runs calls on a pool's replicas."""

    async def call(self, pool: str, method: str, argument: Any) -> Any:
        """One whole reply."""

    def stream(self, pool: str, method: str, argument: Any) -> AsyncIterator[Any]:
        """A reply in pieces. Closing the iterator cancels the call on the replica."""

    async def unready(self) -> list[str]:
        """What keeps the pools from serving, one sentence each; empty when they can."""
