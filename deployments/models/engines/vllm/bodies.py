"""Our requests in vLLM's form."""

import uuid
from typing import Any, cast

from deployments.models.engines.protocol import EmbedRequest, GenerateRequest, Message, unsupported_parameter

HONOURED = frozenset({"frequency_penalty", "presence_penalty", "logit_bias", "response_format"})
"""Of `GenerateRequest.extra`."""


def is_chat(request: GenerateRequest) -> bool:
    """Whether the prompt is a conversation."""
    return not isinstance(request.prompt, str) and not isinstance(request.prompt[0], int)


def prompt_of(request: GenerateRequest) -> dict[str, Any]:
    """The prompt, by the name that it has in OpenAI's API."""
    if is_chat(request):
        return {"messages": [dict(message) for message in cast("tuple[Message, ...]", request.prompt)]}
    return {"prompt": request.prompt if isinstance(request.prompt, str) else list(request.prompt)}


def generate_body(request: GenerateRequest, max_tokens: int) -> dict[str, Any]:
    """For `chat` or `complete`. Raises `RequestRefusedError`."""
    for name in request.extra:
        if name not in HONOURED:
            raise unsupported_parameter(name)
    chosen = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        **request.extra,
    }
    return {
        **prompt_of(request),
        # Its own: vLLM would take that of the HTTP request, which several choices share.
        "request_id": uuid.uuid4().hex,
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: value for name, value in chosen.items() if value is not None},
        **_logprobs(request),
    }


def _logprobs(request: GenerateRequest) -> dict[str, Any]:
    wanted = request.logprobs
    if wanted is None:
        return {}
    asked: dict[str, Any] = {"logprobs": wanted}
    if is_chat(request):
        # vLLM counts the generated token among them, likely or not: with one more, none of the likeliest is missing.
        asked = {"logprobs": True, "top_logprobs": wanted + 1 if wanted else 0}
    return {**asked, "return_tokens_as_token_ids": True}


def embed_body(request: EmbedRequest) -> dict[str, Any]:
    """For `embed`."""
    body: dict[str, Any] = {
        "input": [each if isinstance(each, str) else list(each) for each in request.inputs],
        "encoding_format": "base64",
    }
    return body if request.dimensions is None else {**body, "dimensions": request.dimensions}
