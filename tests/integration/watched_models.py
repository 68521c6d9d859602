"""Models that write down what they do, and one whose health can be made to hang; for `kind: python`."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any


class Watched:
    """Says `tick` every 50 ms for as long as it is listened to; every start and end is a line in the file `log`, with
    when (`time.monotonic`, which all processes of a machine share)."""

    def __init__(self, log: str) -> None:
        self._log = Path(log)

    async def generate(self, messages: list[dict[str, str]], max_tokens: int) -> AsyncIterator[str]:
        self._write("start")
        try:
            for _ in range(max_tokens):
                await asyncio.sleep(0.05)
                yield "tick "
        finally:
            self._write("end")

    def _write(self, what: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{what} {time.monotonic()}\n")


class Hangs:
    """Its health check does not come back while the file `sick` has its process's id in it."""

    def __init__(self, sick: str) -> None:
        self._sick = Path(sick)

    def infer(self, request: dict[str, Any]) -> int:
        return os.getpid()

    async def check_health(self) -> None:
        while self._sick.exists() and self._sick.read_text() == str(os.getpid()):
            await asyncio.sleep(0.1)
