"""`POST /v1/chat/completions`: the request."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Scope

from deployments.ingress.errors import HttpError
from deployments.ingress.inference.operation import Generation
from deployments.ingress.inference.parsing import GenerationRequest, ReplyTokens, parse
from policies.quantities import WHOLE


class TextPart(BaseModel):
    """A piece of a message's content; no engine here reads anything but text."""

    model_config = ConfigDict(extra="ignore", strict=True)
    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(extra="ignore", strict=True)
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[TextPart], Field(fail_fast=True)] | None = None

    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class ChatCompletionRequest(GenerationRequest):
    """`POST /v1/chat/completions`."""

    messages: Annotated[
        list[ChatMessage],
        Field(min_length=1, fail_fast=True, examples=[[{"role": "user", "content": "What is a sluice?"}]]),
    ]
    max_tokens: ReplyTokens | None = None
    max_completion_tokens: ReplyTokens | None = None
    logprobs: Annotated[bool, Field(description="Of every token; not of every model.")] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20, description="With `logprobs: true`."), WHOLE] | None = None
    response_format: Annotated[dict[str, Any], Field(description="Of some models.")] | None = None


UNSUPPORTED = ("tools", "functions", "web_search_options", "audio", "prediction")

_EXAMPLE = '{"model": …, "messages": …}'


def parse_chat(_: Scope, body: bytes) -> Generation:
    """What is asked for."""
    request = parse(body, ChatCompletionRequest, _EXAMPLE)
    request.refuse(*UNSUPPORTED)
    if request.top_logprobs is not None and not request.logprobs:
        raise HttpError(400, "invalid_parameter", "top_logprobs stands with logprobs: true.", param="top_logprobs")
    extra = request.extra()
    if request.response_format and request.response_format != {"type": "text"}:  # that is the default
        extra["response_format"] = request.response_format
    return Generation(
        form="chat",
        prompts=[[{"role": message.role, "content": message.text()} for message in request.messages]],
        request=request,
        reply_cap=request.max_completion_tokens or request.max_tokens,
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        extra=extra,
    )
