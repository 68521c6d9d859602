"""Follows the live feed while a scenario runs: the log of each limit, entry by entry, and the denials.

A greenlet and a connection for each limit. The feed is written for the page; here it is evidence, and a copy of a log
in which something is missing says so itself (`LogCopy.gap`).
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gevent
import httpx

from loadtests.scenarios.kit.logs import LogCopy, SeenDenial
from loadtests.scenarios.kit.tenants import Registration, Tenant

AGAIN_S = 0.3
"""After a connection was lost. A window's entries are all told again at the next, so what is shorter than the shortest
window loses nothing."""


class Watch:
    """All that is followed in one run."""

    def __init__(self, host: str, key: str, run: Registration, tenants: Sequence[Tenant]) -> None:
        self._host, self._key, self._run = host, key, run
        self.logs = [LogCopy(tenant.name, limit) for tenant in tenants for limit in tenant.limits if limit.has_log]
        self.denials: dict[str, SeenDenial] = {}
        self.troubles: list[str] = []
        self._subjects = {
            limit.name: run.subject(tenant, limit) for tenant in tenants for limit in tenant.limits if limit.has_log
        }
        self._greenlets: list[gevent.Greenlet] = []
        self._ready = 0

    def start(self, ready_s: float = 10.0) -> None:
        """Returns when every log is followed from its beginning."""
        for number, log in enumerate(self.logs):
            self._greenlets.append(gevent.spawn(self._follow, log, number == 0))
        with gevent.Timeout(ready_s, TimeoutError(f"the live feed of {self._host} did not begin within {ready_s:g} s")):
            while self._ready < len(self.logs):
                gevent.sleep(0.05)

    def stop(self) -> None:
        """Follows no more. What was seen stays."""
        gevent.killall(self._greenlets, block=True, timeout=5)

    def _follow(self, log: LogCopy, tell_denials: bool) -> None:
        query = {"policy": self._run.named(log.limit.name)}
        subject = self._subjects[log.limit.name]
        if subject:
            query["subject"] = subject
        headers = {"authorization": f"Bearer {self._key}"}
        first = True
        while True:
            try:
                # Every second there is a frame, whatever happens.
                with httpx.stream("GET", f"{self._host}/admin/live", params=query, headers=headers, timeout=5) as reply:
                    reply.raise_for_status()
                    for frame in _frames(reply.iter_lines()):
                        self._read(frame, log, tell_denials)
                        self._ready += first
                        first = False
            except httpx.HTTPError as error:
                self.troubles.append(f"{self._host}, the feed of {log.limit.name}: {error!r}")
            gevent.sleep(AGAIN_S)

    def _read(self, frame: Mapping[str, Any], log: LogCopy, tell_denials: bool) -> None:
        if frame.get("log") is not None:
            log.read(frame["log"])
        if not tell_denials:
            return
        for request in frame.get("requests", ()):
            if request["outcome"] == "denied":
                policy = self._run.short(request["denied_by"])
                retry_ms = math.ceil(round(request["retry_after_s"] * 1000, 3))  # of a block, it has fractions
                self.denials[request["id"]] = SeenDenial(request["id"], request["at_ms"], str(policy), retry_ms)


def _frames(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The data of each `frame`; ends where the server says `end`."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: ") and name == "frame":
            yield json.loads(line.removeprefix("data: "))
        elif line.startswith("data: ") and name == "end":
            return
