"""A few clients that ask without end, and what each was told.

Two tenants: one asks for about twice its limit, so that the limit is always at work; one has no limit but slots, and
half of its requests are streamed. Every reply is judged from its bytes (`loadtests.scenarios.kit.replies`).
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

import httpx

from loadtests.scenarios.kit.replies import read_chat, read_error, read_stream
from tests.drills.kit.drill import NO_REPLY

LIMITED, ROOMY = "limited", "roomy"
CLIENTS = {LIMITED: 4, ROOMY: 4}
PAUSE_S = {LIMITED: 0.08, ROOMY: 0.15}
TIMEOUT_S = 20.0
MODEL = "quick"


@dataclass(frozen=True, slots=True)
class Told:
    """One reply."""

    tenant: str
    at: float
    """When it was whole, by the monotonic clock: for the time to recover, for no limit."""
    what: str
    """Status and code, or `no reply`."""
    problem: str | None
    """What was wrong with the reply as such."""


class Load:
    """Runs while it is wanted."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        self._url, self._keys = url, keys
        self._wanted = asyncio.Event()
        self._busy = 0
        self.told: list[Told] = []
        self._tasks = [
            asyncio.create_task(self._client(tenant, number))
            for tenant, count in CLIENTS.items()
            for number in range(count)
        ]

    def begin(self) -> None:
        self.told = []
        self._wanted.set()

    async def pause(self) -> None:
        """Returns when the last reply has come."""
        self._wanted.clear()
        while self._busy:
            await asyncio.sleep(0.05)

    def seen(self) -> Counter[str]:
        return Counter(each.what for each in self.told)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, tenant: str, number: int) -> None:
        headers = {"authorization": f"Bearer {self._keys[tenant]}"}
        stream = tenant == ROOMY and number % 2 == 1
        # No pool: each request goes to whichever replica HAProxy has now.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(
            base_url=self._url, headers=headers, timeout=TIMEOUT_S, limits=limits, trust_env=False
        ) as http:
            while True:
                await self._wanted.wait()
                self._busy += 1
                try:
                    what, problem = await ask(http, stream=stream)
                finally:
                    self._busy -= 1
                self.told.append(Told(tenant, time.monotonic(), what, problem))
                await asyncio.sleep(PAUSE_S[tenant])


async def ask(http: httpx.AsyncClient, *, stream: bool = False) -> tuple[str, str | None]:
    """One chat: what it was told, and what was wrong with how."""
    more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Is anybody there?"}], "max_tokens": 8, **more}
    try:
        reply = await http.post("/v1/chat/completions", json=body)
    except httpx.TransportError:
        return NO_REPLY, None
    return judge(reply, stream=stream)


def judge(reply: httpx.Response, *, stream: bool = False) -> tuple[str, str | None]:
    if reply.status_code != 200:
        denial = read_error(reply.status_code, dict(reply.headers), reply.content)
        return f"{reply.status_code} {denial.code}", denial.problem
    if not stream:
        return "200", read_chat(reply.content).problem
    events = [event for event in reply.content.split(b"\n\n") if event.strip()]
    problem = read_stream(events).problem
    if problem is not None and "error in the stream" in problem:
        return "200, then an error in the stream", None
    return "200", problem
