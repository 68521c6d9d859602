"""OpenAI's requests as Sluice reads them. What an engine cannot honour is refused rather than ignored."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from deployments.ingress.errors import HttpError


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None

    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


def _stops(value: object) -> object:
    return [value] if isinstance(value, str) else [] if value is None else value


class ChatCompletionRequest(BaseModel):
    """`POST /v1/chat/completions`."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, Field(min_length=1, max_length=256, examples=["sim-small"])]
    messages: Annotated[
        list[ChatMessage], Field(min_length=1, examples=[[{"role": "user", "content": "What is a sluice?"}]])
    ]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_stops), Field(max_length=4)] = []
    seed: int | None = None
    n: Annotated[Literal[1], Field(description="Only one choice is offered.")] = 1

    @property
    def reply_cap(self) -> int | None:
        """Most tokens the client wants, or None."""
        return self.max_completion_tokens or self.max_tokens


UNSUPPORTED = ("tools", "functions", "logprobs", "top_logprobs", "logit_bias", "audio", "prediction")
"""Fields that change what a reply must be, and that no engine here honours."""


def parse_chat(body: bytes) -> ChatCompletionRequest:
    """The request in a body: 400 for what is no JSON object, 422 for wrong or missing fields."""
    try:
        request = ChatCompletionRequest.model_validate_json(body)
    except ValidationError as error:
        raise _as_http(error.errors(include_url=False)) from None
    extra = request.model_extra or {}
    for name in UNSUPPORTED:
        if extra.get(name):
            raise HttpError(400, "unsupported_parameter", f"{name} is not supported here: leave it out.", param=name)
    return request


def _as_http(problems: list[Any]) -> HttpError:
    first = problems[0]
    if first["type"] == "json_invalid":
        return HttpError(400, "invalid_json", f"The body is not valid JSON: {first['ctx']['error']}.")
    where = ".".join(str(part) for part in first["loc"])
    if not where:
        return HttpError(400, "invalid_json", 'The body must be a JSON object, such as {"model": …, "messages": …}.')
    more = f" ({len(problems) - 1} more problems)" if len(problems) > 1 else ""
    message = "is missing" if first["type"] == "missing" else f"is wrong: {first['msg'].removeprefix('Value error, ')}"
    return HttpError(422, "invalid_parameter", f"{where} {message}{more}.", type="invalid_request_error", param=where)
