"""A reply on its way from the engine's thread to the event loop that reads it."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from deployments.models.engines.protocol import Chunk, EngineError

Item = Chunk | EngineError
"""A piece of a reply, or why there will be no more."""


class Reply:
    """Read by one reader. What a slow one has not taken yet is put together, and is never more than one whole reply."""

    def __init__(self) -> None:
        """On the event loop that will read it."""
        self.loop = asyncio.get_running_loop()
        self.left = False
        """Whether the reader has gone. The thread looks at it between two steps."""
        self._pieces: list[Chunk] = []
        self._error: EngineError | None = None
        self._arrived = asyncio.Event()

    def take(self, item: Item) -> None:
        """On the event loop."""
        if isinstance(item, Chunk):
            self._pieces.append(item)
        elif self._error is None:
            self._error = item
        self._arrived.set()

    async def next(self) -> Chunk:
        """All that came since the last call, once something did."""
        await self._arrived.wait()
        self._arrived.clear()
        pieces, self._pieces = self._pieces, []
        if self._error is not None:
            if not pieces:
                raise self._error
            self._arrived.set()  # what came before it first
        return _together(pieces)


@dataclass(frozen=True, slots=True)
class Post:
    """Something for a reply's reader."""

    reply: Reply
    item: Item


def deliver(posts: Iterable[Post]) -> None:
    """From the engine's thread: wakes each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Post]] = {}
    for post in posts:
        by_loop.setdefault(post.reply.loop, []).append(post)
    for loop, own in by_loop.items():
        if not call_soon(loop, partial(_take_all, own)):
            for post in own:
                post.reply.left = True


def call_soon(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> bool:
    """From another thread. False: that loop was closed, and nobody is there any more."""
    try:
        loop.call_soon_threadsafe(what)
    except RuntimeError:
        return False
    return True


def _take_all(posts: list[Post]) -> None:
    for post in posts:
        post.reply.take(post.item)


def _together(pieces: list[Chunk]) -> Chunk:
    if len(pieces) == 1:
        return pieces[0]
    last = pieces[-1]
    return Chunk(
        "".join(piece.text for piece in pieces),
        last.finish_reason,
        last.usage,
        tuple(each for piece in pieces for each in piece.logprobs),
    )
