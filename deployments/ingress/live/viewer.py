"""One viewer: frames that wait to be sent, and the reply that sends them. Nothing waits for a viewer."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MOST_QUEUED = 50
"""Frames that may wait for a viewer: five seconds of busy traffic. They are shared with other viewers, and so is the
memory that they take. One that has more waiting is dropped."""

FAREWELL_S = 3.0
"""How long a viewer may take to hear why its stream ends; after that it is left."""

LONGEST_S = 12 * 3600.0
"""After this long a viewer has to connect again, which spreads viewers anew over the replicas."""

Reason = Literal["slow", "closing", "key"]

_MESSAGES: dict[Reason, str] = {
    "slow": "You did not read as fast as there was news: connect again.",
    "closing": "The server is restarting: connect again.",
    "key": "The API key is not valid any more, or may not see this any more.",
}


class Viewer:
    """Whoever reads one stream."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._number = 0
        self.end_of_stream = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Frames that wait to be sent."""
        return len(self._frames)

    def offer(self, frame: bytes) -> None:
        """One frame, from behind its number on."""
        if self.end_of_stream.is_set():
            return
        if len(self._frames) >= MOST_QUEUED:
            self.end("slow")
            return
        self._frames.append(frame)
        self._news.set()

    def end(self, reason: Reason) -> None:
        """The stream ends, with nothing before but what is being sent."""
        if self.end_of_stream.is_set():
            return
        self._frames.clear()
        self._frames.append(event("end", {"reason": reason, "message": _MESSAGES[reason]}))
        self.end_of_stream.set()
        self._news.set()

    async def next(self) -> bytes:
        """What is to be sent now: all that waits."""
        while not self._frames:
            self._news.clear()
            await self._news.wait()
        if self.end_of_stream.is_set():
            return self._frames.popleft()
        pieces = []
        while self._frames:
            self._number += 1
            pieces.append(b'event: frame\ndata: {"number":%d,' % self._number + self._frames.popleft())
        return b"".join(pieces)


def event(name: str, data: object) -> bytes:
    """A server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))


def frame_bytes(frame: dict[str, object]) -> bytes:
    """A frame as `Viewer.offer` takes it: the same for all viewers, who each number their own."""
    return orjson.dumps(frame, option=orjson.OPT_NON_STR_KEYS)[1:] + b"\n\n"


class EventStream(Response):
    """The reply: `hello`, and then whatever the viewer is offered, until it ends or the client leaves."""

    media_type = "text/event-stream"

    def __init__(self, hello: bytes, join: Callable[[Viewer], None], leave: Callable[[Viewer], None]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._hello, self._join, self._leave = hello, join, leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        viewer = Viewer()
        self._join(viewer)
        tasks = [asyncio.ensure_future(each) for each in (self._send(viewer, send), _gone(receive), _given_up(viewer))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=LONGEST_S)
            if not any(task.done() for task in tasks):
                viewer.end("closing")
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leave(viewer)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, viewer: Viewer, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._hello, "more_body": True})
        while not viewer.end_of_stream.is_set():
            await send({"type": "http.response.body", "body": await viewer.next(), "more_body": True})
        if viewer.waiting:
            await send({"type": "http.response.body", "body": await viewer.next(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _given_up(viewer: Viewer) -> None:
    """Returns when the viewer has not taken its end in time."""
    await viewer.end_of_stream.wait()
    await asyncio.sleep(FAREWELL_S)
