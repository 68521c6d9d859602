"""The engine of embeddings with a tiny model: what it answers, what it refuses, who waits for whom, and what breaks."""

import asyncio
import base64
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from deployments.models.calls import EmbedCall
from deployments.models.engines.protocol import (
    Embeddings,
    EmbedRequest,
    Engine,
    EngineBrokenError,
    EngineFailureError,
    EngineOptionsError,
    GenerateRequest,
    RequestRefusedError,
)
from deployments.models.engines.registry import make_engine
from deployments.models.service import ModelService
from deployments.tokenization.tokenizer import Tokenizer
from tests.deployments.models.engines.transformers.tiny_encoder import CONTEXT

TEXTS = ("the water flows", "a gate", "x" * 40, "The log keeps count, and the gate keeps the water.", "a")
TIMEOUT_S = 20


def apart(first: Sequence[float], second: Sequence[float]) -> float:
    """How far two vectors are from one another, in their worst place."""
    return max(abs(a - b) for a, b in zip(first, second, strict=True))


async def embed(engine: Engine, *inputs: Any, dimensions: int | None = None) -> Embeddings:
    return await asyncio.wait_for(engine.embed(EmbedRequest(tuple(inputs), dimensions)), TIMEOUT_S)


@pytest.fixture
async def engine(tiny_encoder: Path) -> AsyncIterator[Engine]:
    """The tiny model, loaded."""
    made = make_engine("transformers", {"model": str(tiny_encoder), "task": "embed"})
    await made.load()
    yield made
    await made.close()


@pytest.fixture(scope="module")
def expected(tiny_encoder: Path) -> list[list[float]]:
    """The vectors of `TEXTS` from the library itself, one by one."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(tiny_encoder), AutoModel.from_pretrained(tiny_encoder)
    with torch.inference_mode():
        means = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0) for text in TEXTS]
    return [(mean / mean.norm()).tolist() for mean in means]


class Steps:
    """The model of an engine, run step by step: what a batch holds is recorded, and it waits until it may go on."""

    def __init__(self, engine: Engine) -> None:
        self._encoder = engine._encoder  # type: ignore[attr-defined]
        self._really = self._encoder.vectors
        self.batches: list[list[int]] = []
        """The lengths of the inputs of each."""
        self.fail: Callable[[list[Any]], None] = lambda inputs: None
        self._may_run = threading.Semaphore(0)
        self._encoder.vectors = self._run

    def _run(self, inputs: list[Any]) -> Any:
        self.batches.append([len(each) for each in inputs])
        assert self._may_run.acquire(timeout=TIMEOUT_S)
        self.fail(inputs)
        return self._really(inputs)

    async def begun(self, count: int = 1) -> None:
        """Until so many batches have begun."""
        async with asyncio.timeout(TIMEOUT_S):
            while len(self.batches) < count:
                await asyncio.sleep(0.001)

    def go_on(self, count: int = 100) -> None:
        self._may_run.release(count)


@contextmanager
def running(*coroutines: Any) -> Iterator[list["asyncio.Task[Embeddings]"]]:
    tasks = [asyncio.create_task(each) for each in coroutines]
    yield tasks
    assert all(task.done() for task in tasks)


async def test_vectors_are_the_librarys(engine: Engine, expected: list[list[float]]) -> None:
    for text, vector in zip(TEXTS, expected, strict=True):
        (own,) = (await embed(engine, text)).vectors
        assert own.typecode == "f"
        assert apart(own, vector) < 1e-5


async def test_together_they_are_the_same_and_in_order(engine: Engine, expected: list[list[float]]) -> None:
    for own, vector in zip((await embed(engine, *TEXTS)).vectors, expected, strict=True):
        assert apart(own, vector) < 1e-5
    # And apart: many requests at a time, each with two inputs.
    pairs = [(first, second) for first in range(len(TEXTS)) for second in range(len(TEXTS))]
    answers = await asyncio.gather(*(embed(engine, TEXTS[first], TEXTS[second]) for first, second in pairs))
    for (first, second), answer in zip(pairs, answers, strict=True):
        assert apart(answer.vectors[0], expected[first]) < 1e-5
        assert apart(answer.vectors[1], expected[second]) < 1e-5


async def test_tokens_are_as_good_as_their_text(engine: Engine, tiny_encoder: Path) -> None:
    tokenizer = Tokenizer.load(str(tiny_encoder))
    of_texts = await embed(engine, *TEXTS)
    of_tokens = await embed(engine, *(tuple(tokenizer.encode(text)) for text in TEXTS))
    assert max(map(apart, of_texts.vectors, of_tokens.vectors)) < 1e-5
    assert of_texts.input_tokens == of_tokens.input_tokens == sum(len(tokenizer.encode(text)) for text in TEXTS)


async def test_fewer_dimensions_are_the_first_at_length_one(engine: Engine) -> None:
    (whole,), (part,) = (await embed(engine, "water")).vectors, (await embed(engine, "water", dimensions=5)).vectors
    length = sum(value**2 for value in whole[:5]) ** 0.5
    assert apart(part, [value / length for value in whole[:5]]) < 1e-6
    assert (await embed(engine, "water", dimensions=32)).vectors == (whole,)


@pytest.mark.parametrize("dimensions", [33, 0, -1])
async def test_other_dimensions_are_refused(engine: Engine, dimensions: int) -> None:
    with pytest.raises(RequestRefusedError, match="from 1 to 32") as caught:
        await embed(engine, "water", dimensions=dimensions)
    assert (caught.value.code, caught.value.param, caught.value.status) == ("unsupported_parameter", "dimensions", 400)


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ("x" * (CONTEXT - 1), "context_length_exceeded", rf"input\[1\] has {CONTEXT + 1} tokens.* at most {CONTEXT}\."),
        ((5,) * (CONTEXT + 1), "context_length_exceeded", rf"input\[1\] has {CONTEXT + 1} tokens"),
        ((5, 64), "invalid_token", r"input\[1\] has the token 64, and this model's tokens are 0 to 63\."),
        ((-1, 5), "invalid_token", r"input\[1\] has the token -1"),
        ((), "invalid_input", r"input\[1\] has no tokens"),
    ],
)
async def test_inputs_that_the_model_cannot_read_are_refused(engine: Engine, asked: Any, code: str, told: str) -> None:
    with pytest.raises(RequestRefusedError, match=told) as caught:
        await embed(engine, "a", asked)
    assert (caught.value.code, caught.value.param, caught.value.status) == (code, "input", 400)
    assert len((await embed(engine, "x" * (CONTEXT - 2), (63,) * CONTEXT)).vectors) == 2


async def test_texts_are_not_generated(engine: Engine) -> None:
    with pytest.raises(RequestRefusedError, match="does not offer text generation"):
        engine.generate(GenerateRequest("a", 1))


async def test_what_waits_runs_together(engine: Engine, expected: list[list[float]]) -> None:
    steps = Steps(engine)
    with running(*(embed(engine, text) for text in TEXTS)) as tasks:
        await steps.begun()
        before = len(steps.batches[0])  # as many as had arrived when the thread looked
        await asyncio.sleep(0.05)
        steps.go_on()
        answers = await asyncio.gather(*tasks)
    assert sum(map(len, steps.batches)) == len(TEXTS)
    assert len(steps.batches) <= 1 + (before < len(TEXTS)) * 2
    for answer, vector in zip(answers, expected, strict=True):
        assert apart(answer.vectors[0], vector) < 1e-5


async def test_a_large_request_does_not_keep_a_small_one_waiting(tiny_encoder: Path) -> None:
    engine = make_engine("transformers", {"model": str(tiny_encoder), "task": "embed", "embed_batch_tokens": 12})
    await engine.load()
    steps = Steps(engine)
    with running(embed(engine, *["a"] * 100), embed(engine, "water")) as (large, small):
        await steps.begun()
        steps.go_on(4)
        await asyncio.wait_for(small, TIMEOUT_S)
        assert not large.done()
        steps.go_on()
        await large
    assert max(map(sum, steps.batches)) <= 12
    await engine.close()


async def test_what_is_cancelled_before_it_starts_never_runs(tiny_encoder: Path) -> None:
    engine = make_engine("transformers", {"model": str(tiny_encoder), "task": "embed", "embed_batch_tokens": 6})
    await engine.load()
    steps = Steps(engine)
    with running(embed(engine, *["a"] * 50), embed(engine, "the water flows through the gate")) as (gone, stays):
        await steps.begun()
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        steps.go_on()
        assert (await stays).input_tokens == 8
    assert steps.batches in ([[3, 3], [8]], [[3], [8]], [[3], [3, 8]])
    await engine.close()


async def test_nor_does_what_is_cancelled_while_other_inputs_of_it_run(engine: Engine) -> None:
    steps = Steps(engine)
    with running(embed(engine, "x" * (CONTEXT - 2), "a", "a", "a")) as (gone,):
        await steps.begun()
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        steps.go_on()
        await embed(engine, "the water")
    assert steps.batches == [[CONTEXT, 3], [4]], "the second batch of the same round was left out"


async def test_the_loop_is_never_held_up(engine: Engine) -> None:
    steps = Steps(engine)
    with running(embed(engine, "a")) as (task,):
        await steps.begun()  # and stands still; this loop does not
        await asyncio.sleep(0.01)
        await engine.check_health()
        steps.go_on()
        await task


async def test_a_batch_that_fails_fails_alone(engine: Engine) -> None:
    steps = Steps(engine)

    def fail(inputs: list[Any]) -> None:
        if len(inputs[0]) == CONTEXT:
            raise RuntimeError("this batch is not to my liking")

    steps.fail = fail
    steps.go_on()
    with pytest.raises(EngineFailureError, match=r"the model failed: this batch .*"):
        await embed(engine, "a", "x" * (CONTEXT - 2))
    assert (await embed(engine, "a")).input_tokens == 3
    await engine.check_health()


async def test_a_vector_that_is_none_fails(engine: Engine) -> None:
    import torch

    engine._encoder.vectors = lambda inputs: torch.full((len(inputs), 32), float("nan"))  # type: ignore[attr-defined]
    with pytest.raises(EngineFailureError, match=r"the vector of input\[0\] is not finite"):
        await embed(engine, "a")


@pytest.mark.parametrize(("fits", "served"), [(2, True), (1, False)])
async def test_without_memory_it_tries_in_halves_once(engine: Engine, fits: int, served: bool) -> None:
    import torch

    steps = Steps(engine)

    def fail(inputs: list[Any]) -> None:
        if len(inputs) > fits:
            raise torch.OutOfMemoryError("this is too much")

    steps.fail = fail
    steps.go_on()
    if served:
        assert len((await embed(engine, "a", "a", "a", "a")).vectors) == 4
        assert [len(batch) for batch in steps.batches] == [4, 2, 2]
    else:
        with pytest.raises(EngineFailureError, match="no memory for 6 tokens: this is too much"):
            await embed(engine, "a", "a", "a", "a")
    assert (await embed(engine, "a")).input_tokens == 3


async def test_a_device_that_is_lost_breaks_the_engine_and_all_hear_of_it(engine: Engine) -> None:
    import torch

    steps = Steps(engine)

    def fail(inputs: list[Any]) -> None:
        raise torch.AcceleratorError("unspecified launch failure")

    steps.fail = fail
    with running(embed(engine, "a"), embed(engine, "a", "water")) as tasks:
        await steps.begun()
        tasks.append(asyncio.create_task(embed(engine, "gate")))
        await asyncio.sleep(0.01)
        steps.go_on()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in outcomes] == [EngineBrokenError] * 3
    with pytest.raises(EngineBrokenError, match="launch failure"):
        await engine.check_health()
    with pytest.raises(EngineBrokenError, match="launch failure"):
        await embed(engine, "a")


async def test_closing_answers_who_still_waits(engine: Engine) -> None:
    steps = Steps(engine)
    with running(embed(engine, "a")) as (runs,):
        await steps.begun()
        with running(embed(engine, "water")) as (waits,):
            await asyncio.sleep(0.01)
            closing = asyncio.create_task(engine.close())
            await asyncio.sleep(0.01)
            steps.go_on()
            await closing
            assert (await runs).input_tokens == 3
            with pytest.raises(EngineBrokenError, match="closed"):
                await waits


async def test_before_it_is_loaded_it_is_not_healthy(tiny_encoder: Path) -> None:
    engine = make_engine("transformers", {"model": str(tiny_encoder), "task": "embed"})
    with pytest.raises(EngineBrokenError, match="not loaded"):
        await engine.check_health()
    await engine.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "package:no_such_package/model"}, "there is no package no_such_package"),
        ({"model": "{empty}"}, "no tokenizer can be loaded"),
        ({"model": "{tokenizer}"}, "model .* cannot be loaded"),
    ],
)
async def test_a_model_that_is_not_there_is_told_when_it_is_loaded(
    tmp_path: Path, tiny_encoder: Path, options: dict[str, str], told: str
) -> None:
    empty, only_tokenizer = tmp_path / "empty", tmp_path / "tokenizer"
    for folder in (empty, only_tokenizer):
        folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        (only_tokenizer / name).write_text((tiny_encoder / name).read_text())
    options = {**options, "model": options["model"].format(empty=empty, tokenizer=only_tokenizer)}
    engine = make_engine("transformers", {**options, "task": "embed"})
    with pytest.raises(EngineOptionsError, match=told):
        await engine.load()
    with pytest.raises(EngineBrokenError):
        await engine.check_health()


async def test_a_whole_reply(tiny_encoder: Path) -> None:
    service = ModelService("transformers", {"model": str(tiny_encoder), "task": "embed"})
    await service.check_health()
    call = EmbedCall(model="tiny", inputs=["the water", [4, 5, 6]], dimensions=4, base64=False)
    body, usage = await service.embed(call)  # type: ignore[misc]
    reply = orjson.loads(body)
    assert usage == {"input_tokens": 7, "output_tokens": 0}
    assert reply["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert [(each["index"], len(each["embedding"])) for each in reply["data"]] == [(0, 4), (1, 4)]
    call["base64"] = True
    again = orjson.loads((await service.embed(call))[0])  # type: ignore[index]
    for plain, packed in zip(reply["data"], again["data"], strict=True):
        assert struct.unpack("<4f", base64.b64decode(packed["embedding"])) == pytest.approx(plain["embedding"])
    call["dimensions"] = 400
    refused = (await service.embed(call))["refused"]  # type: ignore[call-overload]
    assert (refused["status"], refused["code"], refused["param"]) == (400, "unsupported_parameter", "dimensions")
    await service.close()
