"""Several choices of one request: what becomes of the others when one fails, or nobody reads on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from deployments.models.choices import Choice, merged
from deployments.models.engines.protocol import (
    Chunk,
    Engine,
    EngineFailureError,
    GenerateRequest,
    RequestRefusedError,
    Usage,
)
from tests.deployments.models.engines.compliance import wait_until


class Counting(Engine):
    """Counts for ever, unless the prompt says otherwise."""

    def __init__(self) -> None:
        self.running = 0
        self.may_begin = asyncio.Event()
        self.may_begin.set()

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        self.running += 1
        try:
            if request.prompt == "late":
                await self.may_begin.wait()
            if request.prompt == "refuse":
                raise RequestRefusedError("no", "No.")
            for number in range(request.max_tokens):
                await asyncio.sleep(0)
                if request.prompt == "fail" and number == 3:
                    raise EngineFailureError("it failed")
                yield Chunk(f"{number} ")
            yield Chunk("", "length", Usage(1, request.max_tokens))
        finally:
            self.running -= 1


def choices(*prompts: str, max_tokens: int = 1_000_000) -> list[Choice]:
    return [Choice(GenerateRequest(prompt, max_tokens), first_of_prompt=True) for prompt in prompts]


@pytest.mark.parametrize("prompts", [("fail",), ("go", "fail", "go")])
async def test_the_failure_of_one_ends_all(prompts: tuple[str, ...]) -> None:
    engine = Counting()
    with pytest.raises(EngineFailureError, match="it failed"):
        async for _ in merged(engine, choices(*prompts)):
            pass
    assert engine.running == 0


async def test_one_that_is_refused_refuses_all_before_anything_is_told() -> None:
    engine = Counting()
    with pytest.raises(RequestRefusedError):
        await anext(merged(engine, choices("go", "refuse")))
    assert engine.running == 0


@pytest.mark.parametrize("prompts", [("go",), ("go", "go")])
async def test_who_reads_no_further_ends_all(prompts: tuple[str, ...]) -> None:
    engine = Counting()
    async with aclosing(merged(engine, choices(*prompts))) as chunks:
        async for _ in chunks:
            break
    assert engine.running == 0


async def test_a_cancelled_reader_ends_all() -> None:
    engine = Counting()
    engine.may_begin.clear()

    async def read() -> None:
        async for _ in merged(engine, choices("late", "late")):
            pass

    reading = asyncio.create_task(read())
    await wait_until(lambda: engine.running == 2, "both run")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await wait_until(lambda: engine.running == 0, "both end")


async def test_nothing_is_lost_while_one_begins_late() -> None:
    engine = Counting()
    engine.may_begin.clear()
    texts = {0: "", 1: ""}
    asyncio.get_running_loop().call_later(0.02, engine.may_begin.set)
    async for index, chunk in merged(engine, choices("go", "late", max_tokens=50)):
        texts[index] += chunk.text
    assert texts[0] == texts[1] == "".join(f"{number} " for number in range(50))
