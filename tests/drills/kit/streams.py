"""Thousands of streaming clients in a process of their own: opened, counted, and closed all at once.

A stream is a connection of its own that has got its first token. From then on it is only read: how often something
came, and whether it ended.
"""

import asyncio
import multiprocessing
import re
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

AT_ONCE = 96
"""How many are being opened at the same time."""

ANSWER_S = 60.0
"""How long a server may take until the first token of a stream."""

_APART = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Standing:
    """How the streams stand."""

    opened: int
    open: int
    """Those that have not ended since."""
    silent: int
    """Those among them that have got nothing since `mark`."""
    took_s: float
    """From the first to the last that was opened."""
    refused: Counter[str] = field(default_factory=Counter)
    refused_at_s: tuple[float, float] = (0.0, 0.0)
    """When the first of those was, and the last, from when opening began."""


class Streams:
    """Asks a process for its streams. Whoever made it closes it; the process ends with this one."""

    def __init__(self, url: str, request: bytes) -> None:
        self._ours, theirs = _APART.Pipe()
        self._process = _APART.Process(target=_serve, args=(theirs, url, request), daemon=True)
        self._process.start()
        theirs.close()

    async def open(self, streams: int, within_s: float) -> Standing:
        """Opens so many, or as many as it can in that time."""
        return await self._ask("open", streams, within_s)

    async def mark(self) -> Standing:
        """What comes from now on is what comes "since"."""
        return await self._ask("mark")

    async def standing(self) -> Standing:
        return await self._ask("standing")

    async def close(self) -> None:
        """All of them leave at once."""
        self._ours.close()
        await asyncio.to_thread(self._process.join, ANSWER_S)

    async def _ask(self, *what: object) -> Standing:
        self._ours.send(what)
        told: Standing = await asyncio.to_thread(self._ours.recv)
        return told


def _serve(asked: Connection, url: str, request: bytes) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_Clients(url, request).answer(asked))


class _Reader(asyncio.Protocol):
    """One stream, by callbacks: a task for each would be most of what ten thousand cost."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._head = b""
        self.begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Its status, once the first token has come, or why there is none."""
        self.came, self.ended = 0, False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.came += 1
        if self.begun.done():
            return
        self._head += data
        status = self._head[9:12].decode()
        if b"data: " in self._head:
            self.begun.set_result(status)
        elif status != "200" and (code := re.search(rb'"code": ?"(\w+)"', self._head)):
            self.begun.set_result(f"{status} {code[1].decode()}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        if not self.begun.done():
            self.begun.set_result(f"{self._head[9:12].decode()} and closed before the first token")


class _Clients:
    def __init__(self, url: str, request: bytes) -> None:
        self._address, self._request = urlsplit(url), request
        self._streams: list[_Reader] = []
        self._before: dict[_Reader, int] = {}
        self._refused: list[tuple[float, str]] = []
        self._began = self._took_s = 0.0

    async def answer(self, asked: Connection) -> None:
        while True:
            try:
                what, *more = await asyncio.to_thread(asked.recv)
            except EOFError:
                break
            if what == "open":
                await self._open(*more)
            elif what == "mark":
                self._before = {each: each.came for each in self._streams}
            asked.send(self._standing())
        for each in self._streams:
            each.transport.abort()
        await asyncio.sleep(0)  # or nothing of that leaves this process

    async def _open(self, streams: int, within_s: float) -> None:
        self._began = began = time.monotonic()
        numbers = iter(range(streams))

        async def opening() -> None:
            for _ in numbers:
                if time.monotonic() - began > within_s:
                    return
                await self._open_one()

        await asyncio.gather(*(opening() for _ in range(AT_ONCE)))
        self._took_s = time.monotonic() - began

    async def _open_one(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_S):
                _, stream = await loop.create_connection(
                    lambda: _Reader(self._request), self._address.hostname, self._address.port
                )
                status = await stream.begun
        except (OSError, TimeoutError) as error:
            self._refused.append((time.monotonic() - self._began, type(error).__name__))
            return
        if status == "200":
            self._streams.append(stream)
        else:
            self._refused.append((time.monotonic() - self._began, status))
            stream.transport.abort()

    def _standing(self) -> Standing:
        alive = [each for each in self._streams if not each.ended]
        silent = sum(each.came == self._before.get(each, 0) for each in alive)
        at_s = [at for at, _ in self._refused] or [0.0]
        refused = Counter(what for _, what in self._refused)
        return Standing(len(self._streams), len(alive), silent, self._took_s, refused, (min(at_s), max(at_s)))
