"""What one model router carries: the real exchange of many ingresses with it, in two processes without Ray.

Messages are pickled as Ray does it; what Ray itself adds to a call is measured in `in_ray`. The router's CPU time is
its whole process's.
"""

import asyncio
import pickle
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import psutil

from deployments.router.admission import Admission
from deployments.router.contract import AdmissionError, RouterAwayError, Wanted
from deployments.router.exchange.messages import News, Report
from loadtests.bench.growth.router_process import LENGTH, POOL
from loadtests.bench.report.spreads import Spread, spreads

INGRESSES = (1, 16, 256)
SLOTS, CALLERS = 64, 256
"""Contended: so many callers, over all ingresses, want so many slots."""
PLENTY = 4_096
HOLD_S = 0.005
"""How long a request keeps its slot."""


class Wire:
    """An ingress's calls to the router: a connection for each that is under way."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def exchange(self, report: Report, wait: bool) -> News:
        """As `deployments.router.client` calls it."""
        try:
            reader, writer = self._free.pop() if self._free else await asyncio.open_unix_connection(self._socket)
            told = pickle.dumps((report, wait))
            writer.write(LENGTH.pack(len(told)) + told)
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            answer = await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise RouterAwayError("the router has ended") from error
        self._free.append((reader, writer))
        return cast(News, pickle.loads(answer))  # noqa: S301 - from the process that this one started

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


@asynccontextmanager
async def router(slots: int) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Runs one; its socket and process."""
    with TemporaryDirectory(prefix="sluice-router-") as folder:
        socket = str(Path(folder) / "s")
        command = [sys.executable, "-m", "loadtests.bench.growth.router_process", socket, str(slots)]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 30)
        try:
            yield socket, psutil.Process(process.pid)
        finally:
            process.stdin.close()
            await asyncio.wait_for(process.wait(), 30)


async def one_round(ingresses: int, slots: int, callers: int, seconds: float) -> dict[str, float]:
    """So many callers ask for a slot, keep it for a moment, and ask again."""
    async with router(slots) as (socket, process):
        wires = [Wire(socket) for _ in range(ingresses)]
        admissions = [Admission(f"i{n}", wire.exchange, time.monotonic, {}) for n, wire in enumerate(wires)]
        for each in admissions:
            each.start()
        started = [0]

        async def caller(admission: Admission, number: int) -> None:
            wanted = Wanted(POOL, "standard", f"t{number % 8}", 1.0, 100, 60.0)
            while True:
                try:
                    slot = await admission.admit(wanted)
                except AdmissionError:
                    await asyncio.sleep(HOLD_S)
                    continue
                started[0] += 1
                await asyncio.sleep(HOLD_S)
                admission.release(slot, 100)

        tasks = [asyncio.create_task(caller(admissions[n % ingresses], n)) for n in range(callers)]
        await asyncio.sleep(1.5)
        cpu_s, calls, starts, begun = _cpu_s(process), _calls(admissions), started[0], time.perf_counter()
        await asyncio.sleep(seconds)
        cpu_s, elapsed_s = _cpu_s(process) - cpu_s, time.perf_counter() - begun
        calls, starts = _calls(admissions) - calls, started[0] - starts
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in admissions:
            await each.close()
        for wire in wires:
            wire.close()
    row = {"calls_s": calls / elapsed_s, "busy": cpu_s / elapsed_s, "call_us": cpu_s / max(calls, 1) * 1e6}
    if callers:
        row |= {"starts_s": starts / elapsed_s, "start_us": cpu_s / starts * 1e6, "calls_per_start": calls / starts}
    return row


def _calls(admissions: Sequence[Admission]) -> int:
    return sum(each.calls for each in admissions)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


CASES: dict[str, tuple[int, int]] = {
    "contended": (SLOTS, CALLERS),
    "uncontended": (PLENTY, CALLERS),
    "idle": (SLOTS, 0),
}
"""Slots and callers."""


async def measured(rounds: int, seconds: float) -> dict[str, dict[str, dict[str, Spread]]]:
    """By case and number of ingresses; all take turns."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {name: {str(n): [] for n in INGRESSES} for name in CASES}
    for _ in range(rounds):
        for name, (slots, callers) in CASES.items():
            for ingresses in INGRESSES:
                found[name][str(ingresses)].append(await one_round(ingresses, slots, callers, seconds))
    return {name: {n: spreads(rows) for n, rows in cases.items()} for name, cases in found.items()}
