"""Pieces of a stream that travel together where they are made faster than anybody could read.

Each message from a replica through the ingress to the client costs more than the few bytes of a token that it carries,
and under load those messages are most of what both processes do. So a piece leaves at once if none of its stream has
left for `interval_s`, the first above all; those that come sooner leave together when that time is over, or with the
end. A stream whose pieces come less often than that is never delayed.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def coalesced(pieces: AsyncGenerator[T, None], most: int, interval_s: float) -> AsyncGenerator[list[T], None]:
    """The same pieces in the same order, in lists of at least one, then what `pieces` raised, if anything.

    `interval_s`: least time between two lists, in seconds; the last waits for nothing. When `most` pieces wait, reading
    stops until they have left: a reader that is slow holds the source back. Closing this closes `pieces`.
    """
    loop = asyncio.get_running_loop()
    waiting: list[T] = []
    may_leave_at = loop.time()
    ready: asyncio.Future[None] = loop.create_future()
    """Done when a list should leave, or when there will be none any more."""
    room: asyncio.Future[None] | None = None
    timer: asyncio.TimerHandle | None = None

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    async def read() -> None:
        nonlocal room, timer
        async with aclosing(pieces):
            async for piece in pieces:
                waiting.append(piece)
                if ready.done():
                    pass
                elif len(waiting) >= most or loop.time() >= may_leave_at:
                    ready.set_result(None)
                elif timer is None:
                    timer = loop.call_at(may_leave_at, wake)
                if len(waiting) >= most:
                    room = loop.create_future()
                    await room

    reader = asyncio.create_task(read())
    reader.add_done_callback(lambda _: wake())
    try:
        while True:
            await ready
            if not waiting:
                break  # only the end wakes for nothing
            batch, waiting = waiting, []
            may_leave_at = loop.time() + interval_s
            if timer is not None:
                timer.cancel()
                timer = None
            if not reader.done():
                ready = loop.create_future()
            if room is not None:
                room.set_result(None)
                room = None
            yield batch
        await reader
    finally:
        if timer is not None:
            timer.cancel()
        reader.cancel()
        await asyncio.wait([reader])
