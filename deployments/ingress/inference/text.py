"""`POST /v1/completions`: the request."""

from typing import Annotated, Any, cast

from pydantic import Field, WithJsonSchema, field_validator
from starlette.types import Scope

from deployments.ingress.errors import HttpError
from deployments.ingress.inference.operation import Generation, Prompt
from deployments.ingress.inference.parsing import MOST_CHOICES, GenerationRequest, ReplyTokens, parse
from policies.quantities import WHOLE

REPLY_TOKENS = 16
"""Longest text where the request says nothing, as OpenAI has it. Tokens."""

MOST_TEXTS = 2_048
"""In one request, as OpenAI has it of embeddings."""

_TOKEN = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
_TEXT = {"type": "string", "minLength": 1}
TEXTS_OR_TOKENS: dict[str, Any] = {
    "anyOf": [
        _TEXT,
        {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MOST_TEXTS},
        {"type": "array", "items": _TOKEN, "minItems": 1},
        {
            "type": "array",
            "items": {"type": "array", "items": _TOKEN, "minItems": 1},
            "minItems": 1,
            "maxItems": MOST_TEXTS,
        },
    ]
}
"""The forms in which OpenAI's API takes texts, as a JSON schema."""


def texts_or_tokens(value: object) -> list[Prompt]:
    """Any of those forms as a list, each item a text or its tokens. Raises `ValueError`."""
    items: list[object] = value if isinstance(value, list) and _tokens(value) is None else [value]
    if len(items) > MOST_TEXTS:
        raise ValueError(f"one request may have {MOST_TEXTS} inputs; it has {len(items)}")
    prompts = [item if isinstance(item, str) else _tokens(item) for item in items]
    if not prompts or not all(prompts):
        raise ValueError("it should be a text, a list of texts, a list of tokens, or a list of such lists; none empty")
    return cast("list[Prompt]", prompts)


def _tokens(item: object) -> list[int] | None:
    """A list of tokens, if it is one. Whole numbers may be written `5.0`: in JSON that is the same."""
    # By functions that loop by themselves: there may be half a million. A bool is no int here.
    if not isinstance(item, list) or not item or not set(map(type, item)) <= {int, float}:
        return None
    if float in set(map(type, item)):
        if not all(each.is_integer() for each in item if isinstance(each, float)):
            return None
        item = list(map(int, item))
    return item if min(item) >= 0 and max(item) < 2**31 else None


class CompletionRequest(GenerationRequest):
    """`POST /v1/completions`."""

    prompt: Annotated[
        Any,
        Field(description="What the model goes on from: texts, or tokens.", examples=["A sluice is"]),
        WithJsonSchema(TEXTS_OR_TOKENS),
    ]
    max_tokens: ReplyTokens | None = REPLY_TOKENS
    logprobs: Annotated[int, Field(ge=0, le=20, description="Not of every model."), WHOLE] | None = None

    @field_validator("prompt")
    @classmethod
    def _a_form(cls, value: object) -> object:
        return texts_or_tokens(value)


UNSUPPORTED = ("echo", "suffix")

_EXAMPLE = '{"model": …, "prompt": …}'


def parse_text(_: Scope, body: bytes) -> Generation:
    """What is asked for."""
    request = parse(body, CompletionRequest, _EXAMPLE)
    request.refuse(*UNSUPPORTED)
    if ((request.model_extra or {}).get("best_of") or 1) != 1:
        raise HttpError(400, "unsupported_parameter", "best_of is not supported here: leave it out.", param="best_of")
    prompts = cast("list[Prompt]", request.prompt)
    if len(prompts) * request.choices > MOST_CHOICES:
        raise HttpError(
            400,
            "invalid_parameter",
            f"prompt and n ask for {len(prompts) * request.choices} texts; one request may have {MOST_CHOICES}.",
            param="prompt",
        )
    return Generation(
        form="text",
        prompts=prompts,
        request=request,
        reply_cap=request.max_tokens or REPLY_TOKENS,
        logprobs=request.logprobs,
        extra=request.extra(),
    )
