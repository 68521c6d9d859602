"""A viewer of the live feed, over ASGI without a network, so that tests decide how fast it reads."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from starlette.types import ASGIApp, Message

from deployments.ingress.live.frames import LiveEnd, LiveFrame, LiveHello
from tests.deployments.ingress.conftest import secret

PATIENCE_S = 20.0


class Stream:
    """What one viewer got."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.raw = bytearray()
        self.reads = asyncio.Event()
        """Cleared: it does not take what is sent."""
        self.reads.set()
        self.left = asyncio.Event()
        self.done = asyncio.Event()
        self._news = asyncio.Event()
        self._read = 0
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._frames: list[LiveFrame] = []

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.raw += message.get("body", b"")
            if not message.get("more_body", False):
                self.done.set()
        self._news.set()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Every whole event so far: its name and its data."""
        whole = self.raw.rfind(b"\n\n", self._read) + 2
        if whole > self._read:
            for text in self.raw[self._read : whole].decode().split("\n\n")[:-1]:
                name, data = text.split("\n", 1)
                event = (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
                self._events.append(event)
                if event[0] == "frame":
                    self._frames.append(LiveFrame.model_validate(event[1]))
            self._read = whole
        return self._events

    @property
    def hello(self) -> LiveHello:
        return LiveHello.model_validate(self.events()[0][1])

    @property
    def frames(self) -> list[LiveFrame]:
        self.events()
        return list(self._frames)

    @property
    def end(self) -> LiveEnd | None:
        name, data = self.events()[-1]
        return LiveEnd.model_validate(data) if name == "end" else None

    async def until(self, seen: Callable[[Self], object]) -> None:
        """Returns when the test has seen what it waits for."""
        async with asyncio.timeout(PATIENCE_S):
            while not seen(self):
                self._news.clear()
                await self._news.wait()

    async def frame(self) -> LiveFrame:
        """The next frame from now on."""
        before = len(self.frames)
        await self.until(lambda stream: len(stream.frames) > before)
        return self.frames[-1]


@asynccontextmanager
async def watching(app: ASGIApp, key_id: str, path: str = "/admin/live", query: str = "") -> AsyncIterator[Stream]:
    """A viewer with this key, until the block ends or the server ends it."""
    stream = Stream()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"sluice"), (b"authorization", f"Bearer {secret(key_id)}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("sluice", 80),
    }
    task = asyncio.create_task(app(scope, stream.receive, stream.send))  # type: ignore[arg-type] # ASGI apps are coroutines
    try:
        await stream.until(lambda each: each.done.is_set() or (each.status == 200 and each.events()))
        yield stream
    finally:
        stream.left.set()
        stream.reads.set()
        async with asyncio.timeout(PATIENCE_S):
            await task


def total(frames: list[LiveFrame], name: str) -> int:
    return sum(getattr(each, name) for frame in frames for each in frame.counts)


def seen(name: str, number: int) -> Any:
    """For `Stream.until`: so many of these were counted."""
    return lambda stream: total(stream.frames, name) >= number


def log_of(frames: list[LiveFrame]) -> dict[int, int]:
    """The followed log put together: costs by ordinal."""
    costs: dict[int, int] = {}
    for log in [frame.log for frame in frames if frame.log]:
        costs = {} if log.fresh else costs
        costs |= {ordinal: cost for _, ordinal, cost in log.entries}
        costs |= dict(log.changed)
    return costs


def stream_window(frames: list[LiveFrame]) -> Any:
    """The followed window as it was told last."""
    return next(frame.log.window for frame in reversed(frames) if frame.log)
