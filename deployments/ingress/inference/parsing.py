"""Bodies of OpenAI's requests: the fields they share, and what is said of those that are wrong.

What an engine cannot honour is refused rather than ignored. Null is as good as a field left out, as it is for OpenAI.
Lists are checked up to their first mistake (`fail_fast`): a body of half a million would hold up the event loop.
"""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from deployments.ingress.errors import HttpError
from policies.quantities import WHOLE

MOST_CHOICES = 8
"""How many texts one request may ask for: it takes one slot, whatever their number."""

MOST_BIASES = 1_024
"""Entries of `logit_bias`, more than OpenAI takes."""


def _stops(value: object) -> object:
    return [value] if isinstance(value, str) else [] if value is None else value


def _few(value: object) -> object:
    if isinstance(value, dict) and len(value) > MOST_BIASES:
        raise ValueError(f"it may have {MOST_BIASES} entries; it has {len(value)}")
    return value


_STOP = {"type": "string", "minLength": 1}

StopTexts = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=256)]],
    Field(max_length=4, fail_fast=True, description="Where the reply ends: one text, or up to four."),
    BeforeValidator(_stops),
    WithJsonSchema({"anyOf": [_STOP, {"type": "array", "items": _STOP, "maxItems": 4}, {"type": "null"}]}),
]
Biases = Annotated[
    dict[str, Annotated[float, Field(ge=-100, le=100)]],
    Field(max_length=MOST_BIASES),
    BeforeValidator(_few),  # before the entries are looked at
]
ModelName = Annotated[str, Field(min_length=1, max_length=256, examples=["sim-small"])]
ReplyTokens = Annotated[int, Field(ge=1, le=1_000_000), WHOLE]


class StreamOptions(BaseModel):
    """`stream_options`."""

    model_config = ConfigDict(extra="ignore", strict=True)
    include_usage: bool | None = False


class GenerationRequest(BaseModel):
    """What chat and text completions share. Strict: `"max_tokens": "5"` is a wrong type, as it is for OpenAI."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: ModelName
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: StopTexts = Field(default_factory=list)  # a default would be copied deeply for each request
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - MOST_CHOICES), WHOLE] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES, description="Texts for each prompt."), WHOLE] | None = 1
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Biases | None = None

    @property
    def choices(self) -> int:
        """Texts for each prompt."""
        return self.n or 1

    @property
    def include_usage(self) -> bool:
        """Whether a stream tells at its end what it used."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def extra(self) -> dict[str, Any]:
        """Parameters that some engines honour and others refuse: those that change anything."""
        given = {
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
            "logit_bias": self.logit_bias,
        }
        return {name: value for name, value in given.items() if value}

    def refuse(self, *unsupported: str) -> None:
        """400 for fields that change what a reply must be, and that nothing here honours. Empty ones change nothing."""
        extra = self.model_extra or {}
        for name in unsupported:
            if extra.get(name):
                raise HttpError(
                    400, "unsupported_parameter", f"{name} is not supported here: leave it out.", param=name
                )


Body = TypeVar("Body", bound=BaseModel)


def parse(body: bytes, form: type[Body], example: str) -> Body:
    """The request in a body: 400 for what is no JSON object (`example` shows one), 422 for wrong or missing fields."""
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        raise _as_http(error.errors(include_url=False), example) from None


CONTENT_FORMS = {"str", "list[TextPart]"}
"""What pydantic adds to the place of a problem inside a message's `content`: which of its two forms it tried."""


def _as_http(problems: list[Any], example: str) -> HttpError:
    first = problems[0]
    if first["type"] == "json_invalid":
        return HttpError(400, "invalid_json", f"The body is not valid JSON: {first['ctx']['error']}.")
    where = _place(first)
    if not where:
        return HttpError(400, "invalid_json", f"The body must be a JSON object, such as {example}.")
    others = len({_place(problem) for problem in problems} - {where})
    more = f" ({others} more {'problem' if others == 1 else 'problems'})" if others else ""
    return HttpError(
        422, "invalid_parameter", f"{where} {_what(first)}{more}.", type="invalid_request_error", param=where
    )


def _place(problem: Any) -> str:
    """Where it is as the client wrote it: `messages.0.content`."""
    parts = problem["loc"]
    at = next((index for index, part in enumerate(parts) if part in CONTENT_FORMS), len(parts))
    return ".".join(str(part) for part in parts[:at])


def _what(problem: Any) -> str:
    if problem["type"] == "missing":
        return "is missing"
    if any(part in CONTENT_FORMS for part in problem["loc"]):
        return 'is wrong: Input should be a string or a list of {"type": "text", "text": …} parts'
    value = problem["input"]
    # Numbers and the like are repeated; texts may be prompts, and are not.
    got = f" (got {json.dumps(value)})" if value is None or isinstance(value, bool | int | float) else ""
    return f"is wrong: {problem['msg'].removeprefix('Value error, ')}{got}"
