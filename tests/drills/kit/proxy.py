"""The proxy before Redis, as a process of its own: a reply is late where it shall be, whatever else a drill does."""

import asyncio
import multiprocessing
import os
from multiprocessing.connection import Connection
from typing import Any

from tests.policies.tcp_proxy import TcpProxy

START_S = 60.0
_APART = multiprocessing.get_context("spawn")


class Proxy:
    """Ends with whoever made it."""

    def __init__(self, upstream: str | tuple[str, int]) -> None:
        self._ours, theirs = _APART.Pipe()
        self._process = _APART.Process(target=_serve, args=(theirs, upstream), daemon=True)
        self._process.start()
        theirs.close()
        assert self._ours.poll(START_S), "the proxy before Redis did not start"
        self.port: int = self._ours.recv()

    def delay(self, seconds: float) -> None:
        """By how much each piece of a reply is late from now on."""
        self._ours.send(seconds)
        self._ours.recv()

    def close(self) -> None:
        self._ours.close()
        self._process.join(START_S)


def _serve(told: Connection, upstream: str | tuple[str, int]) -> None:
    os.setsid()  # as Redis has it
    asyncio.run(_forward(told, upstream))


async def _forward(told: Any, upstream: str | tuple[str, int]) -> None:
    proxy = TcpProxy(upstream)
    told.send(await proxy.start())
    while True:
        try:
            proxy.delay_s = await asyncio.to_thread(told.recv)
        except EOFError:
            return
        told.send(None)
