import asyncio
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from deployments.models.engines.protocol import (
    EmbedRequest,
    EngineBrokenError,
    EngineFailureError,
    GenerateRequest,
    InferRequest,
    RequestRefusedError,
)
from tests.deployments.models.engines.compliance import collected, refused, wait_until
from tests.deployments.models.engines.python import models
from tests.deployments.models.engines.python.calling import engine_of, inferred, json_request


async def test_dataclasses_and_plain_values() -> None:
    assert await inferred(models.Dataclasses, {"left": 1, "right": 2}) == {"left": 2, "right": 1}
    assert await inferred(models.Anything, {"a": [1, None, "x"]}) == {"got": {"a": [1, None, "x"]}}
    with refused("invalid_parameter", status=422, param="right", said="right is missing"):
        await inferred(models.Dataclasses, {"left": 1})


async def test_raw_bodies() -> None:
    engine = await engine_of(models.Raw)
    reply = await engine.infer(InferRequest(b"\x89PNG", "image/png"))
    assert json.loads(reply) == {"bytes": 4, "type": "image/png"}
    await engine.close()


async def test_many_problems_are_told_but_not_all() -> None:
    class Model:
        def infer(self, request: list[int]) -> int:
            return sum(request)

    with refused(status=422, param="0", said="; and 15 more"):
        await inferred(Model, ["private words"] * 20)
    with pytest.raises(RequestRefusedError) as caught:
        await inferred(Model, ["private words"])
    assert "private" not in str(caught.value)


def returning(value: object, annotation: Any = None) -> type[Any]:
    class Model:
        def infer(self, request: Any) -> Any:
            return value

    if annotation is not None:
        Model.infer.__annotations__["return"] = annotation
    return Model


class Array:
    """As numpy's and torch's."""

    def tolist(self) -> list[float]:
        return [0.5, 2]


@pytest.mark.parametrize(
    ("model", "reply"),
    [
        (returning({"a": Array()}), {"a": [0.5, 2]}),
        (returning({"nan": float("nan")}), {"nan": None}),
        (returning(b'{"ready": true}'), {"ready": True}),
        (returning(None), None),
        (returning({"left": 1, "right": 2, "more": 3}, models.Pair), {"left": 1, "right": 2}),
    ],
)
async def test_replies_of_many_forms(model: type[Any], reply: Any) -> None:
    assert await inferred(model, {}) == reply


@pytest.mark.parametrize(
    "model",
    [returning(object()), returning({"left": "x"}, models.Pair), returning(b"\x89PNG"), returning(b"{}x", bytes)],
)
async def test_a_reply_that_is_no_json_is_a_failure_and_logged(
    model: type[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(EngineFailureError, match="infer failed; the replica's log says why"):
        await inferred(model, {})
    assert "a_module:Class: infer failed" in caplog.text


async def test_what_the_users_code_raises_goes_to_the_log_and_not_to_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(EngineFailureError) as caught:
        await inferred(models.Adder, {"x": 1, "y": 1, "label": "!fail"})
    assert "secret" not in str(caught.value)
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "the secret of the user's code" in caplog.text


@pytest.mark.parametrize("raised", [StopIteration(), StopAsyncIteration(), SystemExit(1), KeyError("x")])
async def test_whatever_is_raised_is_a_failure_of_that_request(raised: BaseException) -> None:
    class Model:
        def infer(self, request: Any) -> None:
            raise raised

        async def embed(self, texts: list[str]) -> None:
            raise raised

        def generate(self, prompt: str) -> Any:
            raise raised
            yield

    engine = await engine_of(Model)
    for attempt in (
        engine.infer(json_request(1)),
        engine.embed(EmbedRequest(("a",))),
        collected(engine, GenerateRequest("a", 3)),
    ):
        with pytest.raises(EngineFailureError):
            await asyncio.wait_for(attempt, 5)
    await engine.check_health()
    await engine.close()


async def test_the_class_may_say_itself_that_it_is_broken() -> None:
    with pytest.raises(EngineBrokenError, match="beyond help"):
        await inferred(models.Adder, {"x": 1, "y": 1, "label": "!break"})


def health(check: Callable[[Any], Any]) -> type[Any]:
    return type("Model", (models.Anything,), {"check_health": check})


@pytest.mark.parametrize(
    ("check", "said"), [(lambda self: 1 / 0, "ZeroDivisionError"), (lambda self: False, "returned False")]
)
async def test_health_that_fails_breaks_the_engine(check: Callable[[Any], Any], said: str) -> None:
    engine = await engine_of(health(check))
    with pytest.raises(EngineBrokenError, match=said):
        await engine.check_health()
    await engine.close()


async def test_health_waits_for_no_request() -> None:
    release = threading.Event()

    class Model:
        def infer(self, request: Any) -> bool:
            return release.wait(10)

        def check_health(self) -> None:
            pass

    engine = await engine_of(Model)
    task = asyncio.create_task(engine.infer(json_request(1)))
    await wait_until(lambda: engine.running == 1, "it began")
    await asyncio.wait_for(engine.check_health(), 5)
    assert not task.done()
    release.set()
    assert await task == b"true"
    await engine.close()


async def test_close_calls_the_classes_own() -> None:
    closed = []

    class Model(models.Anything):
        async def close(self) -> None:
            closed.append(True)

    await (await engine_of(Model)).close()
    assert closed == [True]


@pytest.mark.parametrize("returned", ["one two three", ["one ", "two ", "three"], ("one two three" for _ in (1,))])
async def test_a_text_may_be_returned_instead(returned: Any) -> None:
    class Plain:
        def generate(self, messages: Any) -> Any:
            return returned

    engine = await engine_of(Plain)
    chunks = await collected(engine, GenerateRequest(({"role": "user", "content": "Hi you"},), 10))
    assert "".join(chunk.text for chunk in chunks) == "one two three"
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, chunks[-1].finish_reason) == (2, 3, "stop")
    await engine.close()


async def test_an_async_text_or_stream_may_be_returned() -> None:
    class Whole:
        async def generate(self, prompt: str) -> str:
            return f"you said {prompt}"

    class Stream:
        async def generate(self, prompt: str) -> Any:
            async def stream() -> Any:
                yield "you "
                yield f"said {prompt}"

            return stream()

    for model in (Whole, Stream):
        engine = await engine_of(model)
        chunks = await collected(engine, GenerateRequest("hello", 10))
        assert "".join(chunk.text for chunk in chunks) == "you said hello"
        await engine.close()


@pytest.mark.parametrize("made", [7, [b"bytes"], None])
async def test_what_is_no_text_is_a_failure(made: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Plain:
        def generate(self, prompt: str) -> Any:
            return made

    engine = await engine_of(Plain)
    with pytest.raises(EngineFailureError):
        await collected(engine, GenerateRequest("hello", 10))
    assert "generate() yields texts" in caplog.text
    await engine.close()
