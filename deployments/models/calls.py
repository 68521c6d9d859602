"""What travels between the ingress and a model's replica: plain dictionaries in, OpenAI's bytes out."""

from typing import Any, Literal, TypedDict

from deployments.models.engines.protocol import RequestRefusedError


class Traced(TypedDict, total=False):
    """Part of each call."""

    traceparent: str
    """Of the request, where it is traced (W3C Trace Context)."""


class GenerateCall(Traced):
    """A request for text: `n` choices for each prompt. Already validated by the ingress, so nothing is parsed twice."""

    id: str
    model: str
    form: Literal["chat", "text"]
    """Of the reply: as from `/v1/chat/completions` or from `/v1/completions`."""
    prompts: list[Any]
    """Each a list of messages, a text, or a list of tokens."""
    n: int
    max_tokens: int
    temperature: float | None
    top_p: float | None
    stop: list[str]
    seed: int | None
    logprobs: int | None
    extra: dict[str, Any]
    include_usage: bool


class EmbedCall(Traced):
    """A request for vectors."""

    model: str
    inputs: list[Any]
    """Each a text or a list of tokens."""
    dimensions: int | None
    base64: bool


class InferCall(Traced):
    """A request in the model's own schema."""

    body: bytes
    content_type: str


class UsageReport(TypedDict):
    """What the ingress settles by, in tokens."""

    input_tokens: int
    output_tokens: int


class Refusal(TypedDict):
    """In the place of a reply: the request asks for what this model cannot do."""

    refused: dict[str, Any]
    """`status`, `code`, `message` and `param` of the reply."""


Answer = tuple[bytes, UsageReport] | Refusal
"""A whole reply: its body, and what it used."""


Piece = tuple[bytes, int, UsageReport | None]
"""The next part of a streamed reply: its events, whole ones; how many of the engine's chunks they hold, which is what
the ingress counts where a stream is cut short; and with the last of them, what the reply used."""


def refusal(error: RequestRefusedError) -> Refusal:
    """What the client is told."""
    return Refusal(
        refused={"status": error.status, "code": error.code, "message": str(error), "param": error.param},
    )
