"""What every engine does, with shapes and units. The replica that holds one is `deployments.models.deployment`."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

FinishReason = Literal["stop", "length"]


class EngineError(Exception):
    """Base of what engines raise."""


class EngineOptionsError(EngineError, ValueError):
    """The engine's options in the configuration make no sense; says which, and what is accepted."""


class EngineFailureError(EngineError):
    """The engine could not go on with this request."""


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One request for text."""

    messages: tuple[Mapping[str, str], ...]
    """The conversation, oldest first: `{"role": "user", "content": "Hello"}`."""
    max_tokens: int
    """Most tokens to generate, at least 1."""
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    """Texts that end the reply; they are not part of it."""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a request used, in tokens."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next piece of a reply. The last one, and only it, has a finish reason and the usage."""

    text: str
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


class Engine(Protocol):
    """Runs one model in one replica.

    `generate` is called concurrently, up to the replica's `max_ongoing_requests`. Cancelling the task that iterates,
    or closing the iterator, ends the generation: within a second nothing of it occupies the device any more.
    """

    async def load(self) -> None:
        """Makes ready: after it returns the first request is as fast as any. Called once."""

    def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        """Yields the reply as it grows; raises `EngineFailureError` where it cannot go on."""

    async def check_health(self) -> None:
        """Raises `EngineFailureError` when no further request can succeed here."""


EngineOptions = Mapping[str, Any]
