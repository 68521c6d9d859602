import asyncio
import time
from typing import Any

import pytest

from deployments.models.engines.protocol import Chunk, EngineOptionsError, GenerateRequest
from deployments.models.engines.registry import make_engine
from deployments.models.engines.simulated import SimulatedEngine, SimulatedOptions


async def reply(engine: SimulatedEngine, content: str = "one two three", **fields: Any) -> list[Chunk]:
    request = GenerateRequest(({"role": "user", "content": content},), **{"max_tokens": 100, **fields})
    return [chunk async for chunk in engine.generate(request)]


def engine(**options: Any) -> SimulatedEngine:
    return SimulatedEngine(
        SimulatedOptions(**{"first_token_ms": 0, "inter_token_ms": 0, "reply_tokens": 10, **options})
    )


async def test_only_the_last_chunk_has_a_reason_and_the_usage() -> None:
    *rest, last = await reply(engine())
    assert [(c.finish_reason, c.usage) for c in rest] == [(None, None)] * 9
    assert last.finish_reason == "stop"
    assert last.usage is not None
    assert (last.usage.input_tokens, last.usage.output_tokens) == (3, 10)


async def test_it_says_that_it_is_simulated() -> None:
    assert "".join(c.text for c in await reply(engine())).startswith("This reply is simulated: no model ran.")


async def test_the_cap_of_the_request_holds() -> None:
    chunks = await reply(engine(), max_tokens=4)
    assert len(chunks) == 4
    assert chunks[-1].finish_reason == "length"


async def test_the_same_request_gets_the_same_reply() -> None:
    assert await reply(engine(reply_tokens=30), seed=7) == await reply(engine(reply_tokens=30), seed=7)
    assert await reply(engine(reply_tokens=30), seed=7) != await reply(engine(reply_tokens=30), seed=8)


async def test_stop_ends_the_reply_and_is_not_part_of_it() -> None:
    chunks = await reply(engine(), stop=("simulated",))
    assert "".join(c.text for c in chunks) == "This reply is "
    assert chunks[-1].finish_reason == "stop"


async def test_the_pace_is_as_configured() -> None:
    started = time.monotonic()
    await reply(engine(first_token_ms=50, inter_token_ms=10))
    assert time.monotonic() - started >= 0.14


async def test_cancelling_ends_it() -> None:
    task = asyncio.create_task(reply(engine(first_token_ms=60_000)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)


@pytest.mark.parametrize("options", [{"first_tokn_ms": 1}, {"first_token_ms": -1}, {"reply_tokens": "many"}])
def test_wrong_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(EngineOptionsError, match=next(iter(options))):
        make_engine("simulated", options)
