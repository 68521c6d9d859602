"""Pieces of a stream that travel together when they are made faster than they leave.

A piece that comes while nothing is on its way leaves at once; those that come while one is on its way wait for each
other and leave as one. So nothing waits for a clock (as with batching by an interval, which delays the first token),
and a replica or an ingress that has much to do sends fewer and larger messages: under load each of them costs more than
what it carries.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def coalesced(pieces: AsyncGenerator[T, None], most: int) -> AsyncGenerator[list[T], None]:
    """The same pieces in the same order, in lists of at least one, then what `pieces` raised, if anything.

    When `most` of them wait, reading stops until some have left: a reader that is slow holds the source back. Closing
    this closes `pieces`.
    """
    waiting: list[T] = []
    news, room = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        async with aclosing(pieces):
            async for piece in pieces:
                waiting.append(piece)
                news.set()
                if len(waiting) >= most:
                    room.clear()
                    await room.wait()

    reader = asyncio.create_task(read())
    reader.add_done_callback(lambda _: news.set())
    try:
        while True:
            await news.wait()
            if not waiting:
                break  # only the end sets it without a piece
            batch = waiting.copy()
            waiting.clear()
            if not reader.done():
                news.clear()
            room.set()
            yield batch
        await reader
    finally:
        reader.cancel()
        await asyncio.wait([reader])
