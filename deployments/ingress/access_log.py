"""The access log: one line of JSON for each request to a model, written off the way of requests.

A line holds who asked, for what, and how it ended; never a key, a prompt or a reply. docs/logs.md has its fields.
"""

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from deployments.ingress.inference.exchange import Exchange
from deployments.ingress.tally import outcome_of
from deployments.metrics.definitions import NONE
from policies.errors import redacted

INTERVAL_S = 1.0
"""How long a line waits at most, while no others come."""

MOST_WAITING = 20_000
"""Lines that wait to be written. What comes when so many do is counted instead: a disk that stands still must not fill
the memory, nor hold a request up."""

FILE_BYTES = 100 << 20
"""A file that has grown so large is put aside under another name."""

FILES = 5
"""How many of those put aside are kept."""

Write = Callable[[bytes], None]
"""Takes whole lines. May block: it is called in a thread."""

_log = logging.getLogger(__name__)


class AccessLog:
    """One for each ingress replica; used from its event loop."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: list[tuple[Any, ...]] = []
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def ended(self, exchange: Exchange) -> None:
        """A request has ended."""
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            return
        used = exchange.used
        tokens = (used.input_tokens, used.output_tokens) if used is not None and used.ran else (0, 0)
        self._waiting.append(
            (
                *(time.time(), exchange.request_id, exchange.identity, exchange.model, exchange.status, exchange.code),
                *(exchange.wait_s, *exchange.times_s(), *tokens),
            )
        )

    def start(self) -> None:
        """Begins to write; again does nothing."""
        if self._task is None:
            # An empty context: it outlives the request that happened to start it.
            self._task = asyncio.get_running_loop().create_task(self._forever(), context=contextvars.Context())

    async def close(self) -> None:
        """Writes what waits, and ends."""
        if self._task is not None:
            # Not cancelled: what it writes goes on in its thread, and would be written beside.
            self._closing.set()
            await self._task
            self._task = None

    async def flush(self) -> None:
        """Writes what waits. Raises what keeps that from being done, and the lines are lost."""
        waiting, self._waiting = self._waiting, []
        dropped, self._dropped = self._dropped, 0
        if waiting or dropped:
            await asyncio.to_thread(self._write_lines, waiting, dropped)

    def _write_lines(self, waiting: list[tuple[Any, ...]], dropped: int) -> None:
        lines = [orjson.dumps(_line(*each)) for each in waiting]
        if dropped:
            lines.append(orjson.dumps({"time": _time(time.time()), "lines_dropped": dropped}))
        self._write(b"\n".join(lines) + b"\n")

    async def _forever(self) -> None:
        last = False
        while not last:
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self._closing.wait()
            last = self._closing.is_set()
            try:
                await self.flush()
            except Exception as error:  # noqa: BLE001 - were this loop to end, no line would be written any more
                _log.error("lines of the access log could not be written, and are lost: %s", error)


def into_files(path: Path) -> Write:
    """Writes to this file; when it has grown large it is put aside, and few of those are kept."""

    def write(lines: bytes) -> None:
        if path.exists() and path.stat().st_size + len(lines) > FILE_BYTES:
            for number in range(FILES - 1, 0, -1):
                older = _aside(path, number)
                if older.exists():
                    older.replace(_aside(path, number + 1))
            path.replace(_aside(path, 1))
        with path.open("ab") as file:
            file.write(lines)

    return write


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _line(
    at: float,
    request_id: str,
    identity: Any,
    model: str,
    status: int,
    code: str | None,
    wait_s: float | None,
    first_s: float | None,
    total_s: float,
    input_tokens: int,
    output_tokens: int,
) -> dict[str, Any]:
    return {
        "time": _time(at),
        "request_id": redacted(request_id),
        "tenant": NONE if identity is None else identity.tenant,
        "band": NONE if identity is None else identity.qos_tier,
        "model": model or NONE,
        "outcome": outcome_of(status, code),
        "status": status,
        "code": code,
        "admission_ms": _ms(wait_s),
        "first_token_ms": _ms(first_s),
        "total_ms": _ms(total_s),
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
    }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _ms(time_s: float | None) -> float | None:
    return None if time_s is None else round(time_s * 1000, 3)
