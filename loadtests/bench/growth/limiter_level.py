"""The limiter itself, without HTTP and Ray: decisions by the number of windows, and by the entries in a log."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from redis.asyncio import Redis

from loadtests.bench.limiter.contestants import DEADLINE_S, HIGH, Contestant
from loadtests.bench.limiter.logs import Filler
from loadtests.bench.limiter.measures import in_turns
from loadtests.bench.report.spreads import spreads
from policies import Charge, Limiter, RateLimitPolicy
from policies.entities import Scope, Unit

POLICIES = (1, 6, 24)
ENTRIES = (100, 1_000, 10_000, 100_000, 1_000_000)
COUNT = 200
"""Decisions of one caller in a round."""

WINDOW_MS = 3_600_000
MOST_STEPS = 1_000
"""A log is filled at so many different times, or one for each entry where it has fewer."""


def charges(policies: int, window_ms: int = 60_000, **fields: Any) -> list[Charge]:
    """As many windows, over all scopes in turn. None is ever full."""
    scopes = list(Scope)
    return [
        Charge(
            RateLimitPolicy(name=f"p{n}", scope=scopes[n % len(scopes)], limit=HIGH, window=window_ms, **fields), "acme"
        )
        for n in range(policies)
    ]


async def by_policies(port: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Figures by how many windows a request is charged to."""
    client = Redis(host="127.0.0.1", port=port)
    async with AsyncExitStack() as stack:
        everyone = []
        for count in POLICIES:
            limiter = await _limiter(port, stack)
            everyone.append(Contestant(str(count), partial(_admitted, limiter, charges(count))))
        return await _figures(client, everyone, rounds, flush=True)


async def by_entries(port: int, rounds: int, sizes: Sequence[int] = ENTRIES) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures of one window by how many entries its log holds: for each that is admitted another leaves the window, or
    the window is full and all are denied."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    client = Redis(host="127.0.0.1", port=port)
    for label, unit, cost in (("requests", Unit.REQUESTS, 1), ("tokens", Unit.TOTAL_TOKENS, 1_500)):
        await client.flushall()
        async with AsyncExitStack() as stack:
            logs = [SteadyLog(port, unit, cost, size, await _client(port, stack)) for size in sizes]
            for log in logs:
                await log.fill()
                stack.push_async_callback(log.limiter.close)
            found[f"{label}, denied"] = await _figures(
                client, [Contestant(str(log.size), log.denied) for log in logs], rounds
            )
            found[f"{label}, admitted"] = await _figures(
                client, [Contestant(str(log.size), log.admitted) for log in logs], rounds
            )
            for log in logs:
                found[f"{label}, admitted"][str(log.size)]["entries_after"] = await log.entries()
    await client.flushall()
    await client.aclose()
    return found


class SteadyLog:
    """One window under a steered clock that holds a number of entries, and goes on holding that many: the clock turns
    by as much at each decision as there is between two entries."""

    def __init__(self, port: int, unit: Unit, cost: int, size: int, client: Redis) -> None:
        self.size, self._cost = size, cost
        self._now_s = 1_800_000_000.0
        self._step_s = WINDOW_MS / 1000 / size
        self._policy = RateLimitPolicy(name=f"s{size}", scope=Scope.TENANT, limit=10**12, window=WINDOW_MS, unit=unit)
        self._full = self._policy.model_copy(update={"limit": size * cost})
        self._filler = Filler(port, lambda: self._now_s)
        self.limiter = Limiter(client, deadline_s=DEADLINE_S, steered_clock=lambda: self._now_s)

    async def fill(self) -> None:
        steps = min(self.size, MOST_STEPS)
        for _ in range(steps):
            self._now_s += WINDOW_MS / 1000 / steps
            await self._filler.fill(Charge(self._policy, "acme", self._cost), self.size // steps)

    async def denied(self) -> bool:
        """The clock stands, and what is in the window is the limit."""
        return (await self.limiter.acquire([Charge(self._full, "acme", self._cost)])).allowed

    async def admitted(self) -> bool:
        self._now_s += self._step_s
        return (await self.limiter.acquire([Charge(self._policy, "acme", self._cost)])).allowed

    async def entries(self) -> int:
        """How many are in the window now."""
        (window,) = await self.limiter.peek_each([Charge(self._policy, "acme", 1)])
        return window.used // self._cost


async def _figures(
    client: Redis, everyone: Sequence[Contestant], rounds: int, *, flush: bool = False
) -> dict[str, dict[str, Any]]:
    found, medians = await in_turns(client, everyone, rounds, COUNT, client.flushall if flush else None)
    figures: dict[str, dict[str, Any]] = {}
    for contestant in everyone:
        row: dict[str, Any] = dict(spreads(found[contestant.name]))
        row["p99_us"] = medians[contestant.name]["p99_us"]  # of all rounds together
        figures[contestant.name] = row
    return figures


async def _client(port: int, stack: AsyncExitStack) -> Redis:
    client = Redis(host="127.0.0.1", port=port)
    stack.push_async_callback(client.aclose)
    return client


async def _limiter(port: int, stack: AsyncExitStack) -> Limiter:
    limiter = Limiter(await _client(port, stack), deadline_s=DEADLINE_S)
    stack.push_async_callback(limiter.close)
    return limiter


async def _admitted(limiter: Limiter, asked: Sequence[Charge]) -> bool:
    return (await limiter.acquire(asked)).allowed
