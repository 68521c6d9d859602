"""OpenAI's requests as Sluice reads them. What an engine cannot honour is refused rather than ignored."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from deployments.ingress.errors import HttpError
from policies.entities import WHOLE


class StreamOptions(BaseModel):
    """`stream_options`."""

    model_config = ConfigDict(extra="ignore", strict=True)
    include_usage: bool = False


class TextPart(BaseModel):
    """A piece of a message's content; no engine here reads anything but text."""

    model_config = ConfigDict(extra="ignore", strict=True)
    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(extra="ignore", strict=True)
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None

    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


def _stops(value: object) -> object:
    return [value] if isinstance(value, str) else [] if value is None else value


_STOP = {"type": "string", "minLength": 1}


class ChatCompletionRequest(BaseModel):
    """`POST /v1/chat/completions`. Strict: `"max_tokens": "5"` is a wrong type, as it is for OpenAI."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: Annotated[str, Field(min_length=1, max_length=256, examples=["sim-small"])]
    messages: Annotated[
        list[ChatMessage], Field(min_length=1, examples=[[{"role": "user", "content": "What is a sluice?"}]])
    ]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Annotated[
        list[Annotated[str, Field(min_length=1)]],
        BeforeValidator(_stops),
        Field(max_length=4, description="Where the reply ends: one text, or up to four."),
        WithJsonSchema({"anyOf": [_STOP, {"type": "array", "items": _STOP, "maxItems": 4}, {"type": "null"}]}),
    ] = []
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1), WHOLE] | None = None
    n: Annotated[int, Field(ge=1, le=1, description="Only one choice is offered."), WHOLE] = 1

    @property
    def reply_cap(self) -> int | None:
        """Most tokens the client wants, or None."""
        return self.max_completion_tokens or self.max_tokens


UNSUPPORTED = (
    "tools",
    "functions",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "frequency_penalty",
    "presence_penalty",
    "response_format",
    "web_search_options",
    "audio",
    "prediction",
)
"""Fields that change what a reply must be, and that no engine here honours. Empty and zero change nothing."""

_UNION_BRANCHES = {"str", "list[TextPart]"}
"""What pydantic adds to the place of a problem inside `content`: which of the two forms it tried."""


def parse_chat(body: bytes) -> ChatCompletionRequest:
    """The request in a body: 400 for what is no JSON object, 422 for wrong or missing fields."""
    try:
        request = ChatCompletionRequest.model_validate_json(body)
    except ValidationError as error:
        raise _as_http(error.errors(include_url=False)) from None
    extra = request.model_extra or {}
    for name in UNSUPPORTED:
        if extra.get(name) and extra[name] != {"type": "text"}:  # the default of response_format
            raise HttpError(400, "unsupported_parameter", f"{name} is not supported here: leave it out.", param=name)
    return request


def _as_http(problems: list[Any]) -> HttpError:
    first = problems[0]
    if first["type"] == "json_invalid":
        return HttpError(400, "invalid_json", f"The body is not valid JSON: {first['ctx']['error']}.")
    where = _place(first)
    if not where:
        return HttpError(400, "invalid_json", 'The body must be a JSON object, such as {"model": …, "messages": …}.')
    others = len({_place(problem) for problem in problems} - {where})
    more = f" ({others} more {'problem' if others == 1 else 'problems'})" if others else ""
    return HttpError(
        422, "invalid_parameter", f"{where} {_what(first)}{more}.", type="invalid_request_error", param=where
    )


def _place(problem: Any) -> str:
    """Where it is as the client wrote it: `messages.0.content`."""
    parts = problem["loc"]
    at = next((index for index, part in enumerate(parts) if part in _UNION_BRANCHES), len(parts))
    return ".".join(str(part) for part in parts[:at])


def _what(problem: Any) -> str:
    if problem["type"] == "missing":
        return "is missing"
    if any(part in _UNION_BRANCHES for part in problem["loc"]):
        return 'is wrong: Input should be a string or a list of {"type": "text", "text": …} parts'
    value = problem["input"]
    # Numbers and the like are repeated; texts may be prompts, and are not.
    got = f" (got {json.dumps(value)})" if value is None or isinstance(value, bool | int | float) else ""
    return f"is wrong: {problem['msg'].removeprefix('Value error, ')}{got}"
