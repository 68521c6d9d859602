"""Every kind of request at once: whole replies, streams, denials, clients that leave, somebody who watches."""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from loadtests.bench.applications import ADMIN, METERED, ROOMY, SPENT, body, secret
from loadtests.bench.serving import Served
from loadtests.bench.wrk import SCRIPT, Figures, drive

CLIENTS = 32
MIX = Path(__file__).with_name("mix.lua")
KINDS = (
    (350, ROOMY, body()),
    (150, METERED, body()),
    (150, ROOMY, body(stream=True)),
    (100, METERED, body(stream=True)),
    (250, SPENT, body()),
)
"""Shares of 1000: with windows of requests, with windows of tokens and slots beside, streamed, denied."""

LEAVERS_S = 2.0
"""Streams a second, at most, whose client goes away after their first event: they come one after another."""
WATCHED_S, ALONE_S = 40.0, 20.0
"""For how long somebody watches the live feed, and then nobody does."""


def mixed(served: Served, seconds: float, pause_ms: float, seed: int) -> Figures:
    """One stretch of traffic; each connection pauses so long between a reply and its next request, on average."""
    return drive(
        served.url("sluice"),
        connections=CLIENTS,
        duration_s=seconds,
        script=MIX,
        environment={
            "SOAK_SCRIPT": str(SCRIPT),
            "SOAK_REQUESTS": "\n".join(f"{share}\t{secret(who)}\t{asked}" for share, who, asked in KINDS),
            "SOAK_PAUSE_MS": f"{pause_ms:.3f}",
            "SOAK_SEED": str(seed),
        },
    )


def pause_for(rate_s: float, figures: Figures, pause_ms: float) -> float:
    """The pause with which as many connections come to this rate, if replies take as long as they did.

    A connection's turn is its pause and its reply: clients / rate seconds. Where there was no reply it stays as it is.
    """
    if not figures.requests_s:
        return pause_ms
    turn_ms = CLIENTS / figures.requests_s * 1000
    return max(0.0, pause_ms + CLIENTS / rate_s * 1000 - turn_ms)


@dataclass
class Company:
    """Those who come beside the traffic, in a thread of their own."""

    served: Served
    left: int = 0
    """Streams that were left."""
    watched: int = 0
    """Times that somebody began to watch."""
    troubles: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def beside(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._come(stop)), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)
            if thread.is_alive():
                self.troubles["did not end"] += 1

    async def _come(self, stop: threading.Event) -> None:
        async with httpx.AsyncClient(base_url=self.served.url("sluice", ""), timeout=30) as client:
            coming = [asyncio.create_task(self._leavers(client)), asyncio.create_task(self._viewers(client))]
            await asyncio.to_thread(stop.wait)
            for task in coming:
                task.cancel()
            for ended in await asyncio.gather(*coming, return_exceptions=True):
                if not isinstance(ended, asyncio.CancelledError):
                    self.troubles[f"ended: {ended!r}"] += 1

    async def _leavers(self, client: httpx.AsyncClient) -> None:
        asked = {**json.loads(body(stream=True)), "model": "slow"}
        while True:
            await asyncio.sleep(random.expovariate(LEAVERS_S))
            try:
                headers = {"authorization": f"Bearer {secret(METERED)}"}
                async with client.stream("POST", "v1/chat/completions", json=asked, headers=headers) as reply:
                    if reply.status_code != 200:
                        self.troubles[f"stream: {reply.status_code}"] += 1
                        continue
                    async for _ in reply.aiter_bytes():
                        break
                self.left += 1
            except httpx.HTTPError as error:
                self.troubles[type(error).__name__] += 1

    async def _viewers(self, client: httpx.AsyncClient) -> None:
        query, headers = {"policy": "tenant", "subject": ROOMY}, {"authorization": f"Bearer {secret(ADMIN)}"}
        while True:
            self.watched += 1
            until = time.monotonic() + WATCHED_S
            try:
                async with client.stream("GET", "admin/live", params=query, headers=headers) as reply:
                    if reply.status_code != 200:
                        self.troubles[f"feed: {reply.status_code}"] += 1
                    async for _ in reply.aiter_bytes():
                        if time.monotonic() > until:
                            break
                    else:
                        self.troubles["feed: ended"] += 1
            except httpx.HTTPError as error:
                self.troubles[f"feed: {type(error).__name__}"] += 1
            await asyncio.sleep(ALONE_S)
