"""What a request asks of a model: what it may cost, and the call that a replica gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Literal, Protocol

from deployments.ingress.inference.parsing import GenerationRequest
from deployments.tokenization.counting import Message
from policies.entities import Model

Prompt = Sequence[Message] | str | Sequence[int]
"""A conversation, a text, or a text's tokens."""


class Operation(Protocol):
    """One request, for whichever model will serve it."""

    @property
    def model(self) -> str:
        """The model's name or alias, as asked for."""

    @property
    def method(self) -> str:
        """Of a replica, that answers it."""

    @property
    def stream(self) -> bool:
        """Whether the reply is sent as it grows."""

    @property
    def prompts(self) -> Sequence[Prompt]:
        """What the model reads; counted before the request is admitted."""

    def most_output_tokens(self, model: Model) -> int:
        """Of all that this model may generate for it."""

    def call(self, model: Model) -> dict[str, Any]:
        """What the replica is sent."""


@dataclass(frozen=True, slots=True)
class Generation:
    """Text for one or several prompts."""

    form: Literal["chat", "text"]
    prompts: Sequence[Prompt]
    request: GenerationRequest
    reply_cap: int | None
    """Most tokens of one text that the client wants; None: as many as the model may."""
    logprobs: int | None
    extra: dict[str, Any]

    @property
    def model(self) -> str:
        return self.request.model

    @property
    def stream(self) -> bool:
        return bool(self.request.stream)

    @property
    def method(self) -> str:
        return "generate_stream" if self.stream else "generate"

    def most_output_tokens(self, model: Model) -> int:
        return self._cap(model) * self.request.choices * len(self.prompts)

    def _cap(self, model: Model) -> int:
        return min(self.reply_cap or model.max_output_tokens, model.max_output_tokens)

    def call(self, model: Model) -> dict[str, Any]:
        request = self.request
        return {
            "id": f"{'chatcmpl' if self.form == 'chat' else 'cmpl'}-{token_hex(12)}",
            "model": model.name,
            "form": self.form,
            "prompts": self.prompts,
            "n": request.choices,
            "max_tokens": self._cap(model),
            "temperature": request.temperature,
            "top_p": request.top_p,
            "stop": request.stop,
            "seed": request.seed,
            "logprobs": self.logprobs,
            "extra": self.extra,
            "include_usage": request.include_usage,
        }


@dataclass(frozen=True, slots=True)
class Embedding:
    """Vectors for texts."""

    model: str
    prompts: Sequence[str | Sequence[int]]
    dimensions: int | None
    base64: bool
    method: str = "embed"
    stream: bool = False

    def most_output_tokens(self, _: Model) -> int:
        return 0

    def call(self, model: Model) -> dict[str, Any]:
        return {"model": model.name, "inputs": self.prompts, "dimensions": self.dimensions, "base64": self.base64}


@dataclass(frozen=True, slots=True)
class Inference:
    """A request in the model's own schema. What it holds is the model's to read, so it has no tokens to count."""

    model: str
    body: bytes
    content_type: str
    prompts: tuple[()] = ()
    method: str = "infer"
    stream: bool = False

    def most_output_tokens(self, _: Model) -> int:
        return 0

    def call(self, _: Model) -> dict[str, Any]:
        return {"body": self.body, "content_type": self.content_type}
