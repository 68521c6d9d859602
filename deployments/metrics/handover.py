"""Hands what was counted to whoever exports it, once a second, off the way of requests."""

import asyncio
import contextvars
import logging
from typing import Protocol

from deployments.metrics.readings import Reading, Source

INTERVAL_S = 1.0
"""Between two handovers."""

_log = logging.getLogger(__name__)


class Exporter(Protocol):
    """Where metrics go: `ray_metrics.RayExporter` in Ray Serve."""

    def increase(self, reading: Reading, by: float) -> None:
        """A counter has grown by this much, which is more than 0."""

    def set(self, reading: Reading) -> None:
        """A gauge is at this value."""


class Handover:
    """One for each process that counts; used from its event loop."""

    def __init__(self, source: Source, exporter: Exporter) -> None:
        self._source, self._exporter = source, exporter
        self._told: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; again does nothing."""
        if self._task is None:
            # An empty context: it outlives the request that happened to start it.
            self._task = asyncio.get_running_loop().create_task(self._forever(), context=contextvars.Context())

    async def close(self) -> None:
        """Hands over what is left, and ends."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            self.hand_over()

    def hand_over(self) -> None:
        """Tells what changed of counters, and every gauge. A counter that has fallen began anew."""
        for each in self._source():
            if each.gauge:
                self._exporter.set(each)
                continue
            series = each.name, each.labels
            before = self._told.get(series, 0)
            if each.value != before:
                by = each.value - before if each.value > before else each.value
                if by > 0:
                    self._exporter.increase(each, by)
                self._told[series] = each.value  # after it: what was not taken is told again

    async def _forever(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            try:
                self.hand_over()
            except Exception:  # noqa: BLE001 - were this loop to end, every metric would stand still unnoticed
                _log.exception("metrics could not be handed over, and the next ones are tried")
