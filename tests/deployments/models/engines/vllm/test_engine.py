"""The engine over a server that records: what it asks for, and what becomes of what it is told."""

import base64
from array import array
from contextlib import aclosing
from typing import Any, cast

import pytest

from deployments.models.engines.protocol import (
    Chunk,
    EmbedRequest,
    EngineBrokenError,
    EngineFailureError,
    GenerateRequest,
    RequestRefusedError,
    Usage,
)
from deployments.models.engines.vllm.engine import VllmEngine
from deployments.models.engines.vllm.options import VllmOptions
from deployments.models.engines.vllm.server import Complaint
from tests.deployments.models.engines.compliance import collected
from tests.deployments.models.engines.vllm.recording_server import (
    CONTEXT,
    RecordingServer,
    chat_piece,
    text_piece,
    used,
)

HELLO = ({"role": "user", "content": "one two three"},)
TOO_LONG = Complaint(400, "This model's maximum context length is 32 tokens.", "input_tokens")


async def loaded(server: RecordingServer, task: Any = "generate") -> VllmEngine:
    """An engine over it; what loading asked for is forgotten."""
    replies, server.replies = server.replies, [[text_piece("ok", "stop"), used(1, 1)]]
    engine = VllmEngine(VllmOptions(model="m", task=task), server)
    await engine.load()
    server.replies = replies
    server.asked.clear()
    return engine


async def test_loading_starts_the_server_and_runs_a_request() -> None:
    server = RecordingServer()
    await VllmEngine(VllmOptions(model="m"), server).load()
    assert server.started
    assert [kind for kind, _ in server.asked] == ["measure", "complete"]


async def test_chunks_end_with_reason_and_usage() -> None:
    server = RecordingServer(
        [chat_piece(""), chat_piece("He") + chat_piece("llo"), chat_piece("!", "stop"), used(3, 4)]
    )
    engine = await loaded(server)
    assert await collected(engine, GenerateRequest(HELLO, max_tokens=9)) == [
        Chunk("He"),
        Chunk("llo"),
        Chunk("!", "stop", Usage(3, 4)),
    ]
    ((kind, body),) = server.asked
    assert kind == "chat"
    assert body["messages"] == [{"role": "user", "content": "one two three"}]
    assert body["max_tokens"] == 9


async def test_a_reply_that_might_not_fit_is_asked_for_again_with_the_room_that_there_is() -> None:
    for prompt, room in ((HELLO, CONTEXT - 3), ("one two", CONTEXT - 2), ((5, 6, 7, 8), CONTEXT - 4)):
        server = RecordingServer([TOO_LONG], [text_piece("x", "length"), used(3, room)])
        engine = await loaded(server)
        reply = await collected(engine, GenerateRequest(prompt, max_tokens=1_000))
        assert reply[-1].finish_reason == "length"
        asked = [body["max_tokens"] for kind, body in server.asked if kind != "measure"]
        assert asked == [CONTEXT - 1, room]


@pytest.mark.parametrize(
    ("prompt", "param"), [(({"role": "user", "content": "word " * 40},), "messages"), ((5,) * CONTEXT, "prompt")]
)
async def test_a_prompt_without_room_for_a_reply_is_refused(prompt: Any, param: str) -> None:
    engine = await loaded(RecordingServer([TOO_LONG]))
    with pytest.raises(RequestRefusedError) as caught:
        await collected(engine, GenerateRequest(prompt, max_tokens=5))
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", param)
    assert str(CONTEXT) in str(caught.value)


async def test_a_server_that_counts_in_two_ways_is_no_fault_of_the_client() -> None:
    engine = await loaded(RecordingServer([TOO_LONG]))
    with pytest.raises(EngineFailureError, match="two ways"):
        await collected(engine, GenerateRequest(HELLO, max_tokens=5))


async def test_what_the_server_has_against_a_request_goes_to_the_client() -> None:
    for told, param in (("logit_bias", "logit_bias"), ("prompt", "messages"), (None, None)):
        engine = await loaded(RecordingServer([Complaint(400, "no such thing", told)]))
        with pytest.raises(RequestRefusedError, match="no such thing") as caught:
            await collected(engine, GenerateRequest(HELLO, max_tokens=5))
        assert (caught.value.code, caught.value.param) == ("invalid_parameter", param)


@pytest.mark.parametrize(
    "bad",
    [
        Complaint(500, "out of luck"),
        RuntimeError("out of luck"),
        'data: {"error": {"message": "out of luck", "code": 500}}\n\n',
        chat_piece("", "abort"),
    ],
)
async def test_a_failure_is_of_the_request_while_the_engine_lives(bad: Any) -> None:
    server = RecordingServer([chat_piece("He"), bad])
    engine = await loaded(server)
    with pytest.raises(EngineFailureError) as caught:
        await collected(engine, GenerateRequest(HELLO, max_tokens=5))
    assert not isinstance(caught.value, EngineBrokenError)
    server.dead = True
    if not isinstance(bad, str) or "error" in bad:
        with pytest.raises(EngineBrokenError, match="the engine core is gone"):
            await collected(engine, GenerateRequest(HELLO, max_tokens=5))
    with pytest.raises(EngineBrokenError):
        await engine.check_health()


async def test_a_reply_without_its_end_has_failed() -> None:
    engine = await loaded(RecordingServer([chat_piece("He")]))
    with pytest.raises(EngineFailureError, match="no end"):
        await collected(engine, GenerateRequest(HELLO, max_tokens=5))


async def test_a_reader_that_leaves_ends_the_servers_iterator() -> None:
    server = RecordingServer([chat_piece("a"), chat_piece("b"), chat_piece("c", "stop"), used(1, 3)])
    engine = await loaded(server)
    before = server.closed
    async with aclosing(cast(Any, engine.generate(GenerateRequest(HELLO, max_tokens=5)))) as chunks:
        await anext(chunks)
        assert server.closed == before
    assert server.closed == before + 1


async def test_vectors_have_length_1() -> None:
    told = base64.b64encode(array("f", [3, 4]).tobytes()).decode()
    server = RecordingServer(embeddings={"data": [{"embedding": told}], "usage": {"prompt_tokens": 5}})
    engine = await loaded(server, "embed")
    vectors = await engine.embed(EmbedRequest(("a text",)))
    assert list(vectors.vectors[0]) == pytest.approx([0.6, 0.8])
    assert vectors.input_tokens == 5
    with pytest.raises(RequestRefusedError):
        await collected(engine, GenerateRequest(HELLO, max_tokens=5))
    server.embeddings = TOO_LONG
    with pytest.raises(RequestRefusedError) as caught:
        await engine.embed(EmbedRequest(("a text",)))
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
    server.embeddings = RuntimeError("out of luck")
    with pytest.raises(EngineFailureError, match="out of luck"):
        await engine.embed(EmbedRequest(("a text",)))


async def test_a_generating_model_has_no_embeddings_and_ends_its_server() -> None:
    server = RecordingServer()
    engine = await loaded(server)
    with pytest.raises(RequestRefusedError):
        await engine.embed(EmbedRequest(("a text",)))
    await engine.close()
    assert server.stopped
