"""How the routes of inference describe themselves in /openapi.json: replies in OpenAI's form, and every error.

The replies are written elsewhere (by the models' replicas, as bytes), so these types are for the description alone.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from deployments.ingress.documentation import REFERENCE, ErrorReply, errors, request_schemas, success
from deployments.ingress.openai_schema import ChatCompletionRequest


class ReplyMessage(BaseModel):
    """What the model says."""

    role: Literal["assistant"]
    content: str
    refusal: str | None


class Choice(BaseModel):
    """The one reply of a chat completion."""

    index: Literal[0]
    message: ReplyMessage
    logprobs: None
    finish_reason: Annotated[str, Field(examples=["stop"], description="`stop`, or `length` where it was cut off.")]


class UsedTokens(BaseModel):
    """What counts against limits of tokens."""

    prompt_tokens: Annotated[int, Field(ge=0)]
    completion_tokens: Annotated[int, Field(ge=0)]
    total_tokens: Annotated[int, Field(ge=0)]


class ChatCompletion(BaseModel):
    """A chat completion, as OpenAI's API has it."""

    id: Annotated[str, Field(examples=["chatcmpl-0a1b2c3d4e5f"])]
    object: Literal["chat.completion"]
    created: Annotated[int, Field(description="Seconds since 1970.")]
    model: Annotated[str, Field(description="The model's own name, where you sent an alias.")]
    choices: Annotated[list[Choice], Field(min_length=1, max_length=1)]
    usage: UsedTokens


class ListedModel(BaseModel):
    """A name that requests may give as `model`."""

    id: Annotated[str, Field(examples=["sim-small"])]
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """Models and their aliases."""

    object: Literal["list"]
    data: list[ListedModel]


_MODELS = {"object": "list", "data": [{"id": "sim-small", "object": "model", "created": 0, "owned_by": "sluice"}]}

MODELS_REPLIES: dict[int | str, dict[str, Any]] = {**errors(), 200: success("The models.", ModelList, _MODELS)}
"""The replies of `GET /v1/models`."""

_CHAT = {
    "id": "chatcmpl-0a1b2c3d4e5f",
    "object": "chat.completion",
    "created": 1764000000,
    "model": "sim-small",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A gate that lets through what fits.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17},
}
_CHAT_ERRORS = {
    400: "Malformed, or a cost that no limit can ever hold.",
    401: "No API key, or one that is not valid.",
    403: "The key may not use this model.",
    404: "No such model.",
    413: "The body is too large.",
    422: "A field is wrong.",
    429: "A limit was reached; Retry-After says when to come back.",
    500: "The model failed on this request.",
    503: "The store or the models cannot serve now.",
}


def inference_schemas() -> dict[str, Any]:
    """The schemas of these bodies, which no route tells FastAPI of."""
    return request_schemas((ChatCompletionRequest, ChatCompletion, ErrorReply))


def chat_operation() -> dict[str, Any]:
    """`POST /v1/chat/completions`, a route that FastAPI knows nothing of."""
    answers: dict[str, Any] = {str(status): _error(status, text) for status, text in _CHAT_ERRORS.items()}
    answers["200"] = {
        "description": "A chat completion, or server-sent events of chat.completion.chunk where stream is true.",
        "content": {
            "application/json": {"schema": _reference(ChatCompletion), "example": _CHAT},
            "text/event-stream": {},
        },
    }
    body = {
        "schema": _reference(ChatCompletionRequest),
        "example": {"model": "sim-small", "messages": [{"role": "user", "content": "What is a sluice?"}]},
    }
    return {
        "tags": ["inference"],
        "summary": "Create a chat completion, plain or streamed",
        "operationId": "createChatCompletion",
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": answers,
    }


def _error(status: int, description: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": _reference(ErrorReply)}},
    }
    required = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    if status in required:
        described["headers"] = {required[status]: {"required": True, "schema": {"type": "string"}}}
    return described


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}
