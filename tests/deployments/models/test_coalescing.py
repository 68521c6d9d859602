"""Pieces that travel together."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from deployments.models.coalescing import coalesced


class Source:
    """Numbers, each as soon as it is let."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.made, self.closed = 0, False
        self._count, self._error = count, error
        self.let = asyncio.Semaphore(0)

    async def pieces(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self._count):
                await self.let.acquire()
                self.made += 1
                yield number
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True

    def make(self, pieces: int) -> None:
        for _ in range(pieces):
            self.let.release()


async def turn() -> None:
    """Lets all that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_piece_leaves_at_once_and_those_that_come_meanwhile_together() -> None:
    source = Source(6)
    async with aclosing(coalesced(source.pieces(), 100, 0)) as batches:
        source.make(1)
        assert await anext(batches) == [0]  # nothing else has been made
        source.make(3)
        await turn()
        assert await anext(batches) == [1, 2, 3]
        source.make(2)
        assert [number async for batch in batches for number in batch] == [4, 5]


async def test_a_slow_reader_holds_the_source_back() -> None:
    source = Source(50)
    source.make(50)
    async with aclosing(coalesced(source.pieces(), 8, 0)) as batches:
        first = await anext(batches)
        await turn()
        assert source.made <= len(first) + 9
        assert first + [number async for batch in batches for number in batch] == list(range(50))


async def test_what_was_made_before_a_failure_arrives_before_it() -> None:
    source = Source(3, ValueError("broke"))
    source.make(1)
    batches = coalesced(source.pieces(), 100, 0)
    seen = await anext(batches)
    source.make(2)
    await turn()
    seen += await anext(batches)
    with pytest.raises(ValueError, match="broke"):
        await anext(batches)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("error", [None, ValueError("broke")])
async def test_a_source_without_pieces(error: Exception | None) -> None:
    source = Source(0, error)
    batches = coalesced(source.pieces(), 8, 0)
    with pytest.raises(StopAsyncIteration if error is None else ValueError):
        await anext(batches)
    assert source.closed


@pytest.mark.parametrize("held_back", [False, True])
async def test_closing_closes_the_source(held_back: bool) -> None:
    source = Source(50)
    source.make(50 if held_back else 1)
    batches = coalesced(source.pieces(), 4, 0)
    await anext(batches)
    await turn()
    await batches.aclose()
    assert source.closed
    assert len(asyncio.all_tasks()) == 1


async def test_a_reader_that_is_cancelled_closes_the_source() -> None:
    source = Source(5)

    async def drain() -> None:
        async with aclosing(coalesced(source.pieces(), 4, 0)) as batches:
            async for _ in batches:
                pass

    reading = asyncio.create_task(drain())
    await turn()
    reading.cancel()
    await asyncio.wait([reading])
    assert source.closed
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_the_pace_nothing_is_lost_or_doubled(seed: int) -> None:
    chance = random.Random(seed)

    async def pieces() -> AsyncGenerator[int, None]:
        for number in range(200):
            for _ in range(chance.choice((0, 0, 0, 1, 5))):
                await asyncio.sleep(0)
            yield number

    seen: list[int] = []
    async for batch in coalesced(pieces(), chance.choice((1, 2, 16, 300)), chance.choice((0, 0.0003, 0.003))):
        assert batch
        seen += batch
        for _ in range(chance.choice((0, 0, 1, 7))):
            await asyncio.sleep(0)
    assert seen == list(range(200))


async def test_what_comes_within_the_interval_leaves_together_when_it_is_over() -> None:
    source = Source(4)
    async with aclosing(coalesced(source.pieces(), 100, 0.05)) as batches:
        source.make(1)
        assert await anext(batches) == [0]  # the first leaves at once
        source.make(2)
        began = asyncio.get_running_loop().time()
        assert await anext(batches) == [1, 2]
        assert asyncio.get_running_loop().time() - began > 0.02
        await asyncio.sleep(0.06)
        source.make(1)
        assert await anext(batches) == [3]


async def test_the_end_waits_for_no_interval() -> None:
    source = Source(3)
    async with aclosing(coalesced(source.pieces(), 100, 3_600)) as batches:
        source.make(1)
        assert await anext(batches) == [0]
        source.make(2)
        assert await anext(batches) == [1, 2]


async def test_as_many_as_may_wait_leave_before_the_interval_is_over() -> None:
    source = Source(9)
    async with aclosing(coalesced(source.pieces(), 4, 3_600)) as batches:
        source.make(1)
        assert await anext(batches) == [0]
        source.make(6)
        assert await anext(batches) == [1, 2, 3, 4]
