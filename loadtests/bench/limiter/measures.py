"""How contestants are measured: latency, throughput, the server's CPU, floods of denials, over-admission."""

import asyncio
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import uvloop
from redis.asyncio import Redis

from loadtests.bench.limiter.contestants import (
    DEADLINE_S,
    EMPTY_DRIVER,
    EMPTY_STORE,
    LIMITS_ASYNCIO,
    OURS,
    OURS_TOKENS,
    PYRATE,
    SORTED_SET,
    Contestant,
    charges,
    contestants,
)
from loadtests.bench.limiter.logs import commands_sent
from policies import Charge, Limiter, RateLimitPolicy
from policies.entities import Scope

CONCURRENT = 64
WARMUP = 30

PROCESSES, HAMMER_S, HAMMER_LIMIT = 8, 1.0, 1_000
SLIDES_S, SLIDES_MS, SLIDES_LIMIT = 3.0, 300, 200
"""A window that entries leave while it is hammered."""

Row = dict[str, float]


async def compare(port: int, scopes: int, rounds: int, count: int) -> dict[str, dict[str, Any]]:
    """Medians of every contestant, and of each round's ratios, which compare what was measured within a second or
    two."""
    client = Redis(host="127.0.0.1", port=port)
    async with contestants(port, scopes) as everyone:
        found, rows = await in_turns(client, everyone, rounds, count, before_each_round=client.flushall)
    await client.aclose()
    ratios = {
        "p50_to_empty_driver": _ratio(found[OURS], found[EMPTY_DRIVER], "p50_us"),
        "p50_to_empty_store": _ratio(found[OURS], found[EMPTY_STORE], "p50_us"),
        "p50_tokens_to_empty_driver": _ratio(found[OURS_TOKENS], found[EMPTY_DRIVER], "p50_us"),
        "p50_tokens_to_empty_store": _ratio(found[OURS_TOKENS], found[EMPTY_STORE], "p50_us"),
        "decisions_to_limits_asyncio": _ratio(found[OURS], found[LIMITS_ASYNCIO], "decisions_s_at_64"),
    }
    return {"rows": rows, "ratios": ratios}


async def in_turns(
    client: Redis,
    everyone: Sequence[Contestant],
    rounds: int,
    count: int,
    before_each_round: Callable[[], Awaitable[Any]] | None = None,
) -> tuple[dict[str, list[Row]], dict[str, Row]]:
    """Every contestant once a round, so that whatever else the machine does meets all of them. Each one's rounds, and
    their medians (p99: of the calls of all rounds together)."""
    found: dict[str, list[Row]] = defaultdict(list)
    latencies: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        if before_each_round is not None:
            await before_each_round()
        # Forwards and backwards in turn, so that nobody always follows the same neighbour.
        for contestant in everyone[:: 1 if number % 2 == 0 else -1]:
            row, took = await _measure(client, contestant, count)
            found[contestant.name].append(row)
            latencies[contestant.name] += took
    rows = {contestant.name: _medians(found[contestant.name]) for contestant in everyone}
    for name, row in rows.items():
        row["p99_us"] = round(sorted(latencies[name])[int(len(latencies[name]) * 0.99)], 2)
    return found, rows


def _medians(rows: list[Row]) -> Row:
    return {field: round(median(row[field] for row in rows), 2) for field in rows[0]}


def _ratio(ours: list[Row], theirs: list[Row], field: str) -> float:
    return round(median(mine[field] / other[field] for mine, other in zip(ours, theirs, strict=True)), 2)


async def _measure(client: Redis, contestant: Contestant, count: int) -> tuple[Row, list[float]]:
    await _one_by_one(contestant, WARMUP)
    reads = await _reads(client)
    took = await _one_by_one(contestant, count)
    row = {"p50_us": median(took), "p99_us": 0.0, "round_trips": (await _reads(client) - reads - 1) / count}
    # Those with a round trip a window take several times as long: fewer of theirs say as much.
    each = max(5, count // (10 if row["round_trips"] <= 1 else 30))
    spent = await _script_us(client)
    row["decisions_s_at_64"] = await _many_at_once(contestant, each)
    row["redis_cpu_us"] = (await _script_us(client) - spent) / (CONCURRENT * each)
    return row, took


async def _reads(client: Redis) -> int:
    """How often the server has read from a socket, for this question too: once for whatever was sent together."""
    return int((await client.info("stats"))["total_reads_processed"])


async def _script_us(client: Redis) -> float:
    """The server's microseconds in scripts: that is where every contestant decides."""
    return float((await client.info("commandstats")).get("cmdstat_evalsha", {}).get("usec", 0))


async def _one_by_one(contestant: Contestant, count: int) -> list[float]:
    """Microseconds of each."""
    took = []
    for _ in range(count):
        start = time.perf_counter()
        if contestant.decide is not None:
            await contestant.decide()
        elif contestant.decide_sync is not None:
            contestant.decide_sync()
        took.append((time.perf_counter() - start) * 1e6)
    return took


async def _many_at_once(contestant: Contestant, each: int) -> float:
    """Decisions a second of so many callers, tasks or threads, each of which asks again once it is answered."""
    decide, decide_sync = contestant.decide, contestant.decide_sync

    async def caller() -> None:
        assert decide is not None
        for _ in range(each):
            await decide()

    def thread(_: int) -> None:
        assert decide_sync is not None
        for _ in range(each):
            decide_sync()

    start = time.perf_counter()
    if decide is not None:
        await asyncio.gather(*(caller() for _ in range(CONCURRENT)))
    else:
        with ThreadPoolExecutor(CONCURRENT) as pool:
            list(pool.map(thread, range(CONCURRENT)))
    return CONCURRENT * each / (time.perf_counter() - start)


async def flood(port: int, requests: int = 20_000) -> Row:
    """One client far over its limit, 64 callers at a time: what share of its requests reaches Redis."""
    client = Redis(host="127.0.0.1", port=port)
    await client.flushall()
    ours = Limiter(client, deadline_s=5)
    asked = charges(6, limit=10)
    for _ in range(10):
        await ours.acquire(asked)
    start = time.perf_counter()

    async def caller() -> None:
        for _ in range(requests // CONCURRENT):
            assert not (await ours.acquire(asked)).allowed

    with commands_sent() as commands:
        await asyncio.gather(*(caller() for _ in range(CONCURRENT)))
    took = time.perf_counter() - start
    sent = len(commands)
    await ours.close()
    await client.aclose()
    asked_for = requests // CONCURRENT * CONCURRENT
    return {"commands_a_request": round(sent / asked_for, 4), "denials_s": round(asked_for / took)}


def over_admission(port: int) -> dict[str, float]:
    """Admitted over allowed: eight processes ask one window for far more than it holds, as fast as they can.

    To be called where neither an event loop nor a thread runs: it forks.
    """
    reports = _by_processes(_hammer, port)
    names = (OURS, OURS_TOKENS, SORTED_SET, LIMITS_ASYNCIO, PYRATE)
    asked = {name: sum(report[name][1] for report in reports) for name in names}
    assert all(count > HAMMER_LIMIT for count in asked.values()), f"too few asked to tell anything: {asked}"
    # A request of `sluice, tokens` costs 50 of the same limit.
    allowed = {name: HAMMER_LIMIT // 50 if name == OURS_TOKENS else HAMMER_LIMIT for name in names}
    return {name: sum(report[name][0] for report in reports) / allowed[name] for name in names}


def fullest_over_limit(port: int) -> float:
    """The most that a window which slides ever held, over what it may hold: eight processes ask all the time, while
    entries leave it. By the server's time of each admission. Forks, as the one before."""
    admitted_ms = sorted(ms for report in _by_processes(_hammer_sliding, port) for ms in report)
    spans = admitted_ms[-1] - admitted_ms[0]
    assert spans > 3 * SLIDES_MS, f"admitted within {spans} ms only: nothing slid"
    first, held = 0, 0
    for last, ms in enumerate(admitted_ms):
        while admitted_ms[first] <= ms - SLIDES_MS:
            first += 1
        held = max(held, last - first + 1)
    return held / SLIDES_LIMIT


def _by_processes(hammer: Callable[[int, Any], Coroutine[Any, Any, Any]], port: int) -> list[Any]:
    """What each of the processes reports."""
    context = multiprocessing.get_context("fork")
    barrier, reports = context.Barrier(PROCESSES), context.Queue()

    def process() -> None:
        reports.put(uvloop.run(hammer(port, barrier)))

    processes = [context.Process(target=process) for _ in range(PROCESSES)]
    for each in processes:
        each.start()
    found = [reports.get(timeout=120) for _ in processes]
    for each in processes:
        each.join()
    return found


async def _hammer_sliding(port: int, barrier: Any) -> list[int]:
    policy = RateLimitPolicy(name="slides", scope=Scope.TENANT, limit=SLIDES_LIMIT, window=SLIDES_MS)
    client = Redis(host="127.0.0.1", port=port)
    ours, charge, admitted_ms = Limiter(client, deadline_s=DEADLINE_S), [Charge(policy, "acme")], []
    barrier.wait(60)
    until = time.monotonic() + SLIDES_S

    async def caller() -> None:
        while time.monotonic() < until:
            decision = await ours.acquire(charge)
            if decision.allowed:
                admitted_ms.append(round(decision.time_s * 1000))

    await asyncio.gather(*(caller() for _ in range(8)))
    await ours.close()
    await client.aclose()
    return admitted_ms


async def _hammer(port: int, barrier: Any) -> dict[str, tuple[int, int]]:
    report = {}
    async with contestants(port, 1, HAMMER_LIMIT) as everyone:
        for contestant in everyone:
            if contestant.decide is None or contestant.name.startswith("empty"):
                continue
            barrier.wait(60)
            report[contestant.name] = await _ask_until(contestant, time.monotonic() + HAMMER_S)
    return report


async def _ask_until(contestant: Contestant, until: float) -> tuple[int, int]:
    """How many were admitted, and how many asked for, by eight callers."""
    admitted = asked = 0

    async def caller() -> None:
        nonlocal admitted, asked
        assert contestant.decide is not None
        while time.monotonic() < until:
            asked += 1
            # Not `admitted += await …`: that adds to what `admitted` was before the wait, and loses the others' counts.
            if await contestant.decide():
                admitted += 1

    await asyncio.gather(*(caller() for _ in range(8)))
    return admitted, asked
