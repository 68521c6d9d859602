"""Several choices of one request, generated side by side."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from deployments.models.engines.protocol import Chunk, Engine, GenerateRequest


@dataclass(frozen=True, slots=True)
class Choice:
    """One text of those that a request asks for."""

    request: GenerateRequest
    first_of_prompt: bool
    """Whether its prompt is counted: the others of the same prompt share it."""


async def merged(engine: Engine, choices: Sequence[Choice]) -> AsyncGenerator[tuple[int, Chunk], None]:
    """The chunks of all, each with its choice's number, as they come. Closing it, or the failure of one, ends all."""
    if len(choices) == 1:  # nearly always
        async with aclosing(cast(Any, engine.generate(choices[0].request))) as chunks:
            async for chunk in chunks:
                yield 0, chunk
        return
    # One chunk each at a time: a reader that is slow holds the engine back, as it does with a single choice.
    ready: asyncio.Queue[tuple[int, Chunk] | None] = asyncio.Queue(maxsize=len(choices))

    async def follow(index: int, choice: Choice) -> None:
        async with aclosing(cast(Any, engine.generate(choice.request))) as chunks:
            async for chunk in chunks:
                await ready.put((index, chunk))

    async def follow_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for index, choice in enumerate(choices):
                    group.create_task(follow(index, choice))
        except BaseException:  # a cancellation too: whoever reads must come to an end
            while not ready.empty():  # what is left is of no use, and the end must find room
                ready.get_nowait()
            ready.put_nowait(None)
            raise
        await ready.put(None)

    following = asyncio.create_task(follow_all())
    held: list[tuple[int, Chunk]] = []  # until all have begun: one that is refused refuses the request
    begun: set[int] = set()
    try:
        while (item := await ready.get()) is not None:
            begun.add(item[0])
            if len(begun) < len(choices):
                held.append(item)
                continue
            for each in (*held, item):
                yield each
            held.clear()
        try:
            await following
        except ExceptionGroup as group:  # one failure ends all; it is that one's own that counts
            raise group.exceptions[0] from group
    finally:
        following.cancel()
        await asyncio.wait([following])
