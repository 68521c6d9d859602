"""How the routes of inference describe themselves in /openapi.json: replies in OpenAI's form, and every error.

The replies are written elsewhere (by the models' replicas, as bytes), so these types are for the description alone.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from deployments.ingress.documentation import REFERENCE, ErrorReply, errors, request_schemas, success
from deployments.ingress.inference.chat import ChatCompletionRequest
from deployments.ingress.inference.embeddings import EmbeddingRequest
from deployments.ingress.inference.text import CompletionRequest


class ReplyMessage(BaseModel):
    """What the model says."""

    role: Literal["assistant"]
    content: str
    refusal: str | None


_Reason = Annotated[str, Field(examples=["stop"], description="`stop`, or `length` where it was cut off.")]
_Index = Annotated[int, Field(ge=0)]


class TopLogprob(BaseModel):
    """A token that might have stood in another's place."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """A token of the reply."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    """Of every token of the reply."""

    content: list[TokenLogprob]
    refusal: None


class Choice(BaseModel):
    """One reply of a chat completion."""

    index: _Index
    message: ReplyMessage
    logprobs: ChatLogprobs | None
    finish_reason: _Reason


class TextLogprobs(BaseModel):
    """Of every token of the text."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(BaseModel):
    """One text of a completion."""

    index: _Index
    text: str
    logprobs: TextLogprobs | None
    finish_reason: _Reason


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
    choices: Annotated[list[Choice], Field(min_length=1)]
    usage: UsedTokens


class Completion(BaseModel):
    """A text completion, as OpenAI's API has it."""

    id: Annotated[str, Field(examples=["cmpl-0a1b2c3d4e5f"])]
    object: Literal["text_completion"]
    created: Annotated[int, Field(description="Seconds since 1970.")]
    model: Annotated[str, Field(description="The model's own name, where you sent an alias.")]
    choices: Annotated[list[TextChoice], Field(min_length=1)]
    usage: UsedTokens


class ReadTokens(BaseModel):
    """What counts against limits of input tokens."""

    prompt_tokens: Annotated[int, Field(ge=0)]
    total_tokens: Annotated[int, Field(ge=0)]


class Vector(BaseModel):
    """One input's vector."""

    object: Literal["embedding"]
    index: _Index
    embedding: Annotated[
        list[float] | str, Field(description="Of length 1. In base64: its 32-bit floats, little-endian.")
    ]


class Vectors(BaseModel):
    """A vector for each input, in their order."""

    object: Literal["list"]
    data: list[Vector]
    model: Annotated[str, Field(description="The model's own name, where you sent an alias.")]
    usage: ReadTokens


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

MODEL_REPLIES: dict[int | str, dict[str, Any]] = {
    **errors(404),
    200: success("The model.", ListedModel, _MODELS["data"][0]),
}
"""The replies of `GET /v1/models/{model}`."""

_USAGE = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}

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
    "usage": _USAGE,
}
_COMPLETION = {
    "id": "cmpl-0a1b2c3d4e5f",
    "object": "text_completion",
    "created": 1764000000,
    "model": "sim-small",
    "choices": [{"index": 0, "text": " a gate for water.", "logprobs": None, "finish_reason": "stop"}],
    "usage": _USAGE,
}
_VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}],
    "model": "sim-small",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}

_MODEL = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "A model's name or alias.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 256},
    "example": "sim-small",
}

_ERRORS = {
    400: "Malformed, what this model cannot do, or a cost that no limit can ever hold.",
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
    requests = (ChatCompletionRequest, CompletionRequest, EmbeddingRequest)
    return request_schemas((*requests, ChatCompletion, Completion, Vectors, ErrorReply))


def inference_operations() -> dict[str, dict[str, Any]]:
    """The operations that run models, by path: routes that FastAPI knows nothing of."""
    events = "server-sent events where stream is true"
    messages = [{"role": "user", "content": "What is a sluice?"}]
    return {
        "/v1/chat/completions": _operation(
            ("createChatCompletion", "Create a chat completion, plain or streamed"),
            _json(ChatCompletionRequest, {"model": "sim-small", "messages": messages}),
            (f"A chat completion; {events}.", {**_json(ChatCompletion, _CHAT), "text/event-stream": {}}),
        ),
        "/v1/completions": _operation(
            ("createCompletion", "Go on from a text, plain or streamed"),
            _json(CompletionRequest, {"model": "sim-small", "prompt": "A sluice is"}),
            (f"Texts; {events}.", {**_json(Completion, _COMPLETION), "text/event-stream": {}}),
        ),
        "/v1/embeddings": _operation(
            ("createEmbedding", "Turn texts into vectors"),
            _json(EmbeddingRequest, {"model": "sim-small", "input": "What is a sluice?"}),
            ("A vector for each input.", _json(Vectors, _VECTORS)),
        ),
        "/v1/models/{model}/infer": {
            **_operation(
                ("infer", "Ask a model in its own schema"),
                {
                    "application/json": {"schema": {}, "example": {"pixels": [0, 5, 13]}},
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}},
                },
                ("The model's reply.", {"application/json": {"schema": {}}}),
            ),
            "parameters": [_MODEL],
        },
    }


def _operation(name: tuple[str, str], body: dict[str, Any], reply: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """`name`: its id and what it does. `body` and `reply`: by content type."""
    answers: dict[str, Any] = {str(status): _error(status, text) for status, text in _ERRORS.items()}
    return {
        "tags": ["inference"],
        "operationId": name[0],
        "summary": name[1],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": {"description": reply[0], "content": reply[1]}, **answers},
    }


def _json(model: type[BaseModel], example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REFERENCE.format(model=model.__name__)}, "example": example}}


def _error(status: int, description: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": description,
        "content": {
            "application/json": {"schema": {"$ref": REFERENCE.format(model=ErrorReply.__name__)}},
        },
    }
    required = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    if status in required:
        described["headers"] = {required[status]: {"required": True, "schema": {"type": "string"}}}
    return described
