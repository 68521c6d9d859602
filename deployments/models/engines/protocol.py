"""What every engine does, with shapes and units. The replica that holds one is `deployments.models.deployment`.

An engine runs one model: it says what it can do by which of `generate`, `embed` and `infer` it overrides. All engines
pass the same suite of tests (`tests/deployments/models/engines/compliance`).
"""

from array import array
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

FinishReason = Literal["stop", "length"]

Message = Mapping[str, str]
"""`{"role": "user", "content": "Hello"}`."""

Prompt = tuple[Message, ...] | str | tuple[int, ...]
"""A conversation, oldest message first, for the model's chat template; or a text, or its tokens, to go on from."""

EngineOptions = Mapping[str, Any]
"""As they stand in the configuration."""


class EngineError(Exception):
    """Base of what engines raise."""


class EngineOptionsError(EngineError, ValueError):
    """The engine's options in the configuration make no sense; says which, and what is accepted."""


class EngineFailureError(EngineError):
    """The engine could not go on with this request. Others may succeed."""


class EngineBrokenError(EngineFailureError):
    """No request can succeed in this process any more; the replica is replaced."""


class RequestRefusedError(EngineError):
    """The request asks for what this engine or its model cannot do. The client is told, in the message's words."""

    def __init__(self, code: str, message: str, *, param: str | None = None, status: int = 400) -> None:
        """`param`: the field of the request that is at fault, as its sender wrote it. `status`: of the HTTP reply."""
        super().__init__(message)
        self.code, self.param, self.status = code, param, status

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is pickled by its message alone; a model that runs in a process of its own refuses from there.
        return partial(type(self), self.code, str(self), param=self.param, status=self.status), ()


def unsupported_parameter(name: str) -> RequestRefusedError:
    """For a parameter that this engine cannot honour."""
    return RequestRefusedError("unsupported_parameter", f"{name} is not supported by this model.", param=name)


def unsupported_operation(what: str) -> RequestRefusedError:
    """For an operation that this engine does not have, as in `embeddings`."""
    return RequestRefusedError("unsupported_operation", f"This model does not offer {what}.", param="model")


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One request for one text."""

    prompt: Prompt
    max_tokens: int
    """Most tokens to generate, at least 1. Where the context has room for fewer, the reply is cut off there."""
    temperature: float | None = None
    """0 to 2; 0 is greedy. None: as the model's own defaults have it."""
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    """Texts that end the reply; they are not part of it."""
    seed: int | None = None
    """Equal requests with equal seeds have equal replies, as far as the hardware adds in the same order."""
    logprobs: int | None = None
    """With every token its log-probability, and so many of the likeliest in its place (0 to 20). None: not wanted."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further parameters of OpenAI's API that change the reply, as sent: `frequency_penalty`, `presence_penalty`,
    `logit_bias`, `response_format`. An engine refuses those that it does not honour (`unsupported_parameter`)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a request used, in tokens."""

    input_tokens: int
    """All that the model read, its chat template's own included."""
    output_tokens: int
    """All that were generated, the one that ended the reply included; never more than `max_tokens`."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One generated token, or one that might have stood in its place."""

    token: str
    logprob: float
    """Natural logarithm of its probability under the model, before temperature and top_p."""
    utf8: bytes
    """The token's own bytes: parts of a character where one is spread over several tokens."""
    top: tuple["TokenLogprob", ...] = ()
    """The likeliest in its place, likeliest first; their own `top` is empty."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next piece of a reply. The last one, and only it, has a finish reason and the usage; its text may be empty.

    The texts together are the reply: whole characters in each, and nothing of a stop text in any.
    """

    text: str
    finish_reason: FinishReason | None = None
    """`stop`: the model ended, or a stop text came. `length`: `max_tokens` or the context's end."""
    usage: Usage | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of the tokens since the last chunk, where asked for."""


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts, or their tokens, to turn into vectors."""

    inputs: tuple[str | tuple[int, ...], ...]
    """At least one; none is empty."""
    dimensions: int | None = None
    """Length of the vectors, where it shall be less than the model's own."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector for each input, in their order."""

    vectors: tuple["array[float]", ...]
    """`array("f")`: 32-bit floats, all of one length, each of Euclidean length 1."""
    input_tokens: int
    """Of all inputs together."""


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request in the model's own schema."""

    body: bytes
    content_type: str
    """As sent, in lower case and without parameters: `application/json`."""


class Engine:
    """Runs one model in one replica. The base of all engines: what one does not override, it refuses.

    Everything is called on one event loop, concurrently: up to the replica's `max_ongoing_requests` requests at a time
    (times the choices that one request asks for). Nothing may block that loop: work goes to threads or processes.
    """

    async def load(self) -> None:
        """Makes ready: after it returns the first request is as fast as any. Called once, before anything else."""

    async def check_health(self) -> None:
        """Raises `EngineBrokenError` when no further request can succeed here. Called every second: it is quick."""

    async def close(self) -> None:
        """Ends what runs in the background. Nothing is called after it."""

    def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        """Yields the reply as it grows; raises `EngineFailureError` where it cannot go on, and `RequestRefusedError`
        before the first chunk. Cancelling the task that iterates, or closing the iterator, ends the generation: within
        a second nothing of it occupies the device any more."""
        raise unsupported_operation("text generation")

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """The vectors of texts. Raises `RequestRefusedError` where an input is longer than the model reads."""
        raise unsupported_operation("embeddings")

    async def infer(self, request: InferRequest) -> bytes:
        """The reply to a request in the model's own schema: JSON."""
        raise unsupported_operation("requests of its own form")
