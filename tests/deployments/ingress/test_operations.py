"""Text completions, embeddings, requests of a model's own form, several choices: over a real Redis, with engines made
for the test."""

import base64
import json
import struct
from array import array
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from deployments.ingress.inference.chat import ChatCompletionRequest
from deployments.ingress.state import IngressState
from deployments.models.engines.protocol import (
    Chunk,
    Embeddings,
    EmbedRequest,
    Engine,
    GenerateRequest,
    InferRequest,
    RequestRefusedError,
    TokenLogprob,
    Usage,
)
from deployments.models.service import ModelService
from tests.deployments.ingress.conftest import LocalPools, use
from tests.deployments.ingress.test_inference import ask, policy, settled, used

TEXT, EMBED, INFER = "/v1/completions", "/v1/embeddings", "/v1/models/small/infer"


class Echo(Engine):
    """Says what it was asked, as many tokens of it as it may; a vector is a text's length."""

    def __init__(self) -> None:
        self.requests: list[GenerateRequest] = []

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        self.requests.append(request)
        if "refuse" in str(request.prompt):
            raise RequestRefusedError("context_length_exceeded", "It is too long.", param="prompt")
        words = str(request.prompt).split()[: request.max_tokens]
        for word in words:
            one = TokenLogprob(word, -0.5, word.encode(), (TokenLogprob("other", -1.0, b"other"),))
            yield Chunk(word, logprobs=(one,) if request.logprobs is not None else ())
        yield Chunk("", "stop", Usage(len(str(request.prompt).split()), len(words)))

    async def embed(self, request: EmbedRequest) -> Embeddings:
        if request.dimensions == 99:
            raise RequestRefusedError("unsupported_parameter", "At most 2.", param="dimensions")
        return Embeddings(tuple(array("f", [float(len(each)), 0.5]) for each in request.inputs), 7)

    async def infer(self, request: InferRequest) -> bytes:
        return json.dumps({"type": request.content_type, "length": len(request.body)}).encode()


@pytest.fixture
def echo(pools: LocalPools) -> Echo:
    engine = Echo()
    service = ModelService("simulated", {})
    service._engine = engine
    pools.services["small"] = service
    return engine


def text(**fields: Any) -> dict[str, Any]:
    return {"model": "small", "prompt": "one two three", **fields}


def events(reply: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_a_text_completion(client: httpx.AsyncClient, echo: Echo) -> None:
    body = (await client.post(TEXT, json=text())).json()
    assert body["object"] == "text_completion"
    assert body["id"].startswith("cmpl-")
    assert body["choices"] == [{"index": 0, "text": "onetwothree", "logprobs": None, "finish_reason": "stop"}]
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert echo.requests[0].max_tokens == 16, "as OpenAI has it"


async def test_a_streamed_text_completion(client: httpx.AsyncClient, echo: Echo) -> None:
    pieces = events(await client.post(TEXT, json=text(stream=True, stream_options={"include_usage": True})))
    assert "".join(piece["choices"][0]["text"] for piece in pieces[:-1]) == "onetwothree"
    assert [piece["choices"][0]["finish_reason"] for piece in pieces[:-1]] == [None, None, None, "stop"]
    assert pieces[-1]["usage"]["total_tokens"] == 6


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("a b", ["a b"]),
        (["a", "b c"], ["a", "b c"]),
        ([5, 6], [(5, 6)]),
        ([5.0, 6], [(5, 6)]),
        ([[5], [6, 7]], [(5,), (6, 7)]),
    ],
)
async def test_the_forms_of_a_prompt(client: httpx.AsyncClient, echo: Echo, prompt: Any, read: list[Any]) -> None:
    reply = await client.post(TEXT, json=text(prompt=prompt))
    assert [choice["index"] for choice in reply.json()["choices"]] == list(range(len(read)))
    assert [request.prompt for request in echo.requests] == read


async def test_several_choices_of_several_prompts(client: httpx.AsyncClient, state: IngressState, echo: Echo) -> None:
    use(state, policy("out", unit="output_tokens", limit=100), policy("in", unit="input_tokens", limit=100))
    body = (await client.post(TEXT, json=text(prompt=["a b c", "d"], n=2, seed=40, max_tokens=2))).json()
    assert [choice["text"] for choice in body["choices"]] == ["ab", "ab", "d", "d"]
    assert sorted((str(r.prompt), r.seed) for r in echo.requests) == [
        ("a b c", 40),
        ("a b c", 41),
        ("d", 40),
        ("d", 41),
    ]
    assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}, "a prompt is read once"
    await settled(state)
    assert await used(client) == {"out": 6, "in": 4}


async def test_what_several_choices_may_cost_is_reserved(
    client: httpx.AsyncClient, state: IngressState, echo: Echo
) -> None:
    use(state, policy("out", unit="output_tokens", limit=40))
    reply = await client.post(TEXT, json=text(n=3, max_tokens=10))
    assert reply.headers["x-ratelimit-remaining-tokens"] == "10"
    assert (await client.post(TEXT, json=text(n=5, max_tokens=10))).json()["error"]["code"] == "request_exceeds_limit"


async def test_streamed_choices_end_each_on_its_own(client: httpx.AsyncClient, echo: Echo) -> None:
    pieces = events(await client.post("/v1/chat/completions", json=ask(stream=True, n=3, max_tokens=2)))
    assert [piece["choices"][0]["delta"].get("role") for piece in pieces[:3]] == ["assistant"] * 3
    ends = [piece["choices"][0] for piece in pieces if piece["choices"][0]["finish_reason"]]
    assert sorted(end["index"] for end in ends) == [0, 1, 2]


async def test_logprobs(client: httpx.AsyncClient, echo: Echo) -> None:
    chat = (await client.post("/v1/chat/completions", json=ask(logprobs=True, top_logprobs=1, max_tokens=1))).json()
    first = chat["choices"][0]["logprobs"]["content"][0]
    assert first["logprob"] == -0.5
    assert bytes(first["bytes"]).decode() == first["token"]
    assert first["top_logprobs"] == [{"token": "other", "logprob": -1.0, "bytes": list(b"other")}]
    assert echo.requests[-1].logprobs == 1
    plain = (await client.post(TEXT, json=text(logprobs=0))).json()
    assert plain["choices"][0]["logprobs"] == {
        "tokens": ["one", "two", "three"],
        "token_logprobs": [-0.5] * 3,
        "top_logprobs": [{"other": -1.0}] * 3,
        "text_offset": [0, 3, 6],
    }
    streamed = events(await client.post(TEXT, json=text(logprobs=0, stream=True)))
    assert [piece["choices"][0]["logprobs"]["text_offset"] for piece in streamed[:-1]] == [[0], [3], [6]]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_engine_refuses_is_the_clients_to_mend(
    client: httpx.AsyncClient, state: IngressState, echo: Echo, stream: bool
) -> None:
    use(state, policy("hourly"), policy("tokens", unit="total_tokens", limit=1000))
    reply = await client.post(TEXT, json=text(prompt="refuse this", stream=stream))
    assert reply.status_code == 400
    assert reply.json()["error"] == {
        "message": "It is too long.",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "context_length_exceeded",
    }
    await settled(state)
    assert await used(client) == {"hourly": 1, "tokens": 0}, "it counts as a request: refusing is work too"


@pytest.mark.parametrize("stream", [False, True])
async def test_one_of_several_that_is_refused_refuses_all(client: httpx.AsyncClient, echo: Echo, stream: bool) -> None:
    reply = await client.post(TEXT, json=text(prompt=["refuse", "go on and on"], stream=stream))
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_embeddings(client: httpx.AsyncClient, state: IngressState, echo: Echo) -> None:
    use(state, policy("tokens", unit="input_tokens", limit=1000))
    asked = {"model": "small", "input": ["one", "three"]}
    body = (await client.post(EMBED, json=asked)).json()
    assert body["data"] == [
        {"object": "embedding", "index": 0, "embedding": [3.0, 0.5]},
        {"object": "embedding", "index": 1, "embedding": [5.0, 0.5]},
    ]
    assert (body["object"], body["model"]) == ("list", "small")
    assert body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    packed = (await client.post(EMBED, json={**asked, "encoding_format": "base64"})).json()["data"][1]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(packed)) == (5.0, 0.5)
    await settled(state)
    assert await used(client) == {"tokens": 14}


async def test_a_request_of_the_models_own_form(client: httpx.AsyncClient, state: IngressState, echo: Echo) -> None:
    use(state, policy("hourly"), policy("tokens", unit="total_tokens", limit=1000))
    reply = await client.post(INFER, content=b"\x00\x01", headers={"content-type": "Image/PNG; x=1"})
    assert reply.json() == {"type": "image/png", "length": 2}
    assert reply.headers["x-sluice-model"] == "small"
    assert (await client.post("/v1/models/default/infer", json={})).json()["type"] == "application/json"
    assert (await client.post(INFER, json={})).status_code == 429
    await settled(state)
    assert await used(client) == {"hourly": 2, "tokens": 0}
    assert (await client.post("/v1/models/nope/infer", json={})).json()["error"]["code"] == "model_not_found"


async def test_what_a_model_does_not_offer(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/models/large/infer", json={})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "unsupported_operation", "model")


async def test_one_model(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/models/default")).json() == {
        "id": "default",
        "object": "model",
        "created": 0,
        "owned_by": "sluice",
    }
    assert (await client.get("/v1/models/nope")).status_code == 404


WRONG: dict[str, tuple[str, dict[str, Any], int, str, str]] = {
    "no prompt": (TEXT, {"model": "small"}, 422, "invalid_parameter", "prompt"),
    "an empty prompt": (TEXT, text(prompt=""), 422, "invalid_parameter", "prompt"),
    "no prompts": (TEXT, text(prompt=[]), 422, "invalid_parameter", "prompt"),
    "mixed prompts": (TEXT, text(prompt=["a", 5]), 422, "invalid_parameter", "prompt"),
    "a token alone": (TEXT, text(prompt=5), 422, "invalid_parameter", "prompt"),
    "a huge token": (TEXT, text(prompt=[10**400, 1.0]), 422, "invalid_parameter", "prompt"),
    "half a token": (TEXT, text(prompt=[1, 0.5]), 422, "invalid_parameter", "prompt"),
    "a token below zero": (TEXT, text(prompt=[-1]), 422, "invalid_parameter", "prompt"),
    "too many texts": (TEXT, text(prompt=["a"] * 3, n=3), 400, "invalid_parameter", "prompt"),
    "echo": (TEXT, text(echo=True), 400, "unsupported_parameter", "echo"),
    "best of": (TEXT, text(best_of=3), 400, "unsupported_parameter", "best_of"),
    "no input": (EMBED, {"model": "small"}, 422, "invalid_parameter", "input"),
    "an empty input": (EMBED, {"model": "small", "input": ["a", ""]}, 422, "invalid_parameter", "input"),
    "too many inputs": (EMBED, {"model": "small", "input": ["a"] * 2049}, 422, "invalid_parameter", "input"),
    "no such encoding": (
        EMBED,
        {"model": "small", "input": "a", "encoding_format": "hex"},
        422,
        "invalid_parameter",
        "encoding_format",
    ),
    "no dimensions": (EMBED, {"model": "small", "input": "a", "dimensions": 0}, 422, "invalid_parameter", "dimensions"),
    "too many dimensions": (
        EMBED,
        {"model": "small", "input": "a", "dimensions": 99},
        400,
        "unsupported_parameter",
        "dimensions",
    ),
    "top without logprobs": (
        "/v1/chat/completions",
        ask(top_logprobs=3),
        400,
        "invalid_parameter",
        "top_logprobs",
    ),
    "a penalty too far": (
        "/v1/chat/completions",
        ask(presence_penalty=3),
        422,
        "invalid_parameter",
        "presence_penalty",
    ),
}


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "param"), [pytest.param(*case, id=name) for name, case in WRONG.items()]
)
async def test_bad_input(
    client: httpx.AsyncClient,
    state: IngressState,
    echo: Echo,
    path: str,
    body: dict[str, Any],
    status: int,
    code: str,
    param: str,
) -> None:
    object.__setattr__(state.settings, "max_body_bytes", 100_000)
    reply = await client.post(path, json=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["message"]


@pytest.mark.parametrize(
    "neutral",
    [{"frequency_penalty": 0}, {"presence_penalty": 0.0}, {"logit_bias": {}}, {"response_format": {"type": "text"}}],
)
async def test_what_changes_nothing_is_not_refused(client: httpx.AsyncClient, neutral: dict[str, Any]) -> None:
    assert (await client.post("/v1/chat/completions", json=ask(**neutral))).status_code == 200


@pytest.mark.parametrize("given", [{"frequency_penalty": 1}, {"logit_bias": {"5": -100}}, {"logprobs": True}])
async def test_what_an_engine_does_not_honour_is_refused(client: httpx.AsyncClient, given: dict[str, Any]) -> None:
    reply = await client.post("/v1/chat/completions", json=ask(**given))
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", next(iter(given)))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", ask(n=None, stream=None, max_tokens=None, stop=None, logprobs=None, logit_bias=None)),
        ("/v1/chat/completions", ask(stream=True, stream_options={"include_usage": None})),
        (TEXT, text(n=None, stream=None, max_tokens=None, logprobs=None, echo=None, suffix=None, best_of=None)),
        (EMBED, {"model": "small", "input": "a", "dimensions": None}),
    ],
)
async def test_null_is_as_good_as_a_field_left_out(
    client: httpx.AsyncClient, echo: Echo, path: str, body: dict[str, Any]
) -> None:
    assert (await client.post(path, json=body)).status_code == 200
    if path == TEXT:
        assert echo.requests[0].max_tokens == 16


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"messages": [1] * 1_000}, "messages.0 is wrong: Input should be an object (got 1)."),
        ({"stop": [1] * 1_000}, "stop.0 is wrong: Input should be a valid string (got 1)."),
        (
            {"logit_bias": {str(token): 1_000 for token in range(1_025)}},
            "logit_bias is wrong: it may have 1024 entries; it has 1025.",
        ),
    ],
)
async def test_a_body_full_of_mistakes_is_read_up_to_the_first(
    client: httpx.AsyncClient, state: IngressState, fields: dict[str, Any], message: str
) -> None:
    # Were all of them told, half a million would hold up the event loop for seconds.
    object.__setattr__(state.settings, "max_body_bytes", 100_000)
    reply = await client.post("/v1/chat/completions", json=ask(**fields))
    assert (reply.status_code, reply.json()["error"]["message"]) == (422, message)


async def test_the_parts_of_a_message_are_read_up_to_the_first_mistake() -> None:
    many = ask(messages=[{"role": "user", "content": [1] * 1_000}])
    with pytest.raises(ValidationError) as caught:
        ChatCompletionRequest.model_validate_json(json.dumps(many))
    assert caught.value.error_count() == 2, "it is no text, and its first part is none"
