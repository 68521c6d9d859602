"""Who runs together: coming, going, waiting, and failures that are one request's own or everybody's."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from deployments.models.engines.protocol import (
    Engine,
    EngineBrokenError,
    EngineFailureError,
    GenerateRequest,
)
from tests.deployments.models.engines.transformers.generating import (
    TEXTS,
    TIMEOUT_S,
    TOKENS,
    Direct,
    chunks,
    reply,
    started,
    text,
)


@pytest.fixture
async def engine(tiny_model: Path) -> AsyncIterator[Engine]:
    made = await started(tiny_model)
    yield made
    await made.close()


# Coming and going.


@contextmanager
def held_up(engine: Engine) -> Iterator[None]:
    """While it lasts no step of the model ends: what is asked for meanwhile is all under way."""
    model, go_on = cast(Any, engine)._batcher._model, threading.Event()
    forward = model.forward

    def waiting(*step: Any) -> Any:
        go_on.wait(TIMEOUT_S)
        return forward(*step)

    model.forward = waiting
    try:
        yield
    finally:
        if model.forward is waiting:
            model.forward = forward
        go_on.set()


async def until_running(engine: Engine, count: int) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while cast(Any, engine).running < count:
            await asyncio.sleep(0.001)


async def until_idle(engine: Engine) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while cast(Any, engine).running:
            await asyncio.sleep(0.005)


async def test_who_leaves_gives_the_row_to_who_waits(tiny_model: Path, direct: Direct) -> None:
    engine = await started(tiny_model, max_batch_requests=1)
    first = cast(Any, engine.generate(GenerateRequest(TEXTS[0], max_tokens=200, temperature=0.0)))
    await anext(first)
    with held_up(engine):
        waiting = [asyncio.create_task(reply(engine, prompt)) for prompt in TEXTS[1:3]]
        await asyncio.sleep(0.1)
        waiting[0].cancel()  # before it ran
        await first.aclose()
    assert await waiting[1] == direct.reply(TEXTS[2])
    await until_idle(engine)
    await engine.close()


async def test_a_slow_reader_misses_nothing_and_holds_up_nobody(engine: Engine, direct: Direct) -> None:
    slow = cast(Any, engine.generate(GenerateRequest(TEXTS[0], max_tokens=TOKENS, temperature=0.0)))
    pieces = [await anext(slow)]
    assert await reply(engine, TEXTS[1]) == direct.reply(TEXTS[1])
    await until_idle(engine)
    pieces += [piece async for piece in slow]
    assert len(pieces) < 6, "what it did not take in time comes together"
    assert text(pieces) == direct.reply(TEXTS[0])


async def test_a_long_prompt_does_not_hold_up_a_reply(tiny_model: Path, direct: Direct) -> None:
    engine = await started(tiny_model, prefill_tokens=8)
    model = cast(Any, engine)._batcher._model
    forward, steps = model.forward, []

    def slow(first: int, tokens: Sequence[Sequence[int]], starts: Sequence[int]) -> Any:
        steps.append((first, len(tokens[0])))
        time.sleep(0.005)
        return forward(first, tokens, starts)

    model.forward = slow
    growing = cast(Any, engine.generate(GenerateRequest(TEXTS[0], max_tokens=200, temperature=0.0)))
    await anext(growing)
    long_prompt = "gate " * 40
    assert await reply(engine, long_prompt, max_tokens=2) == direct.reply(long_prompt, 2)
    await growing.aclose()
    await engine.close()
    pieces = [at for at, (first, _) in enumerate(steps) if first == 1]  # in the slot behind the one that grows
    assert len(pieces) >= 5
    assert all(later - earlier == 2 for earlier, later in pairwise(pieces)), "after each piece the reply grows"
    assert max(steps[at][1] for at in pieces) == 8


# Failures.


async def test_a_failing_request_fails_alone(engine: Engine, direct: Direct) -> None:
    model = cast(Any, engine)._batcher._model
    forward = model.forward

    def fails(first: int, tokens: Sequence[Sequence[int]], starts: Sequence[int]) -> Any:
        if [5, 300, 6] in tokens:
            raise RuntimeError("a made-up failure")
        return forward(first, tokens, starts)

    model.forward = fails
    bad, *good = await asyncio.gather(
        chunks(engine, (5, 300, 6)), *(reply(engine, prompt) for prompt in TEXTS), return_exceptions=True
    )
    assert isinstance(bad, EngineFailureError)
    assert not isinstance(bad, EngineBrokenError)
    assert "a made-up failure" in str(bad)
    assert good == [direct.reply(prompt) for prompt in TEXTS]
    await engine.check_health()


async def test_memory_that_does_not_suffice_fails_who_needs_it(engine: Engine, direct: Direct) -> None:
    import torch

    cache = cast(Any, engine)._batcher._model.cache
    fit = cache.fit

    def full(rows: int, columns: int) -> None:
        if columns > 100:
            raise torch.OutOfMemoryError("no memory")
        fit(rows, columns)

    cache.fit = full
    long, *others = await asyncio.gather(
        chunks(engine, tuple([7] * 120)),
        *(reply(engine, prompt, max_tokens=9) for prompt in TEXTS),
        return_exceptions=True,
    )
    assert isinstance(long, EngineFailureError)
    assert others == [direct.reply(prompt, 9) for prompt in TEXTS]
    await engine.check_health()


async def test_a_lost_device_breaks_the_engine_for_all(engine: Engine) -> None:
    import torch

    def lost(*_: Any) -> None:
        raise torch.AcceleratorError("unspecified launch failure")

    with held_up(engine):
        growing = [asyncio.create_task(chunks(engine, prompt, max_tokens=200)) for prompt in TEXTS]
        await until_running(engine, 1)
        cast(Any, engine)._batcher._model.forward = lost
    for outcome in await asyncio.gather(*growing, return_exceptions=True):
        assert isinstance(outcome, EngineBrokenError)
    with pytest.raises(EngineBrokenError, match="unspecified launch failure"):
        await engine.check_health()
    with pytest.raises(EngineBrokenError):
        await chunks(engine)


async def test_closing_ends_what_runs(engine: Engine) -> None:
    with held_up(engine):
        growing = asyncio.create_task(chunks(engine, max_tokens=200))
        await until_running(engine, 1)
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0.05)
    await closing
    with pytest.raises(EngineBrokenError, match="closed"):
        await growing
