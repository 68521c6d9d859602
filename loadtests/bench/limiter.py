"""The limiter side by side with others, in one run on one machine: `make bench-limiter`.

Every contestant decides the same request (one or six windows of a minute, limits out of reach) against the same
redis-server over loopback TCP, in one process. Measured: p50 and p99 of one caller, decisions a second of 64, the
server's CPU per decision, bytes per logged request, and Redis commands per request in a flood of denials. What it
cannot show: a network between process and Redis, where contestants with one round trip a window lose more.

The JSON is for machines; docs/benchmarks.md keeps the last figures.

Results go to loadtests/results/limiter.json and, as a table, to stdout.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import limits
import limits.aio.storage
import limits.aio.strategies
import limits.storage
import limits.strategies
import pyrate_limiter
import uvloop
from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from policies.entities import Scope
from tests.policies.redis_server import RedisServer, binaries

PORT = int(os.environ.get("BENCH_REDIS_PORT", "7831"))
HIGH = 10**9
CONCURRENT = 64
RESULTS = Path(__file__).parents[1] / "results" / "limiter.json"

SORTED_SET = """
local now = redis.call('TIME'); now = now[1] * 1000000 + now[2]
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - 60000000)
  if redis.call('ZCARD', key) >= tonumber(ARGV[1]) then return 0 end
end
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, now, ARGV[2])
  redis.call('PEXPIRE', key, 60000)
end
return 1
"""
"""The usual sorted-set log, all windows in one script."""

Decide = Callable[[], Awaitable[Any]]


def charges(scopes: int, limit: int = HIGH, **fields: Any) -> list[Charge]:
    return [
        Charge(RateLimitPolicy(name=scope, scope=scope, limit=limit, window="1m", **fields), subject="acme")
        for scope in list(Scope)[:scopes]
    ]


async def latencies_us(decide: Decide, count: int) -> dict[str, float]:
    for _ in range(min(200, count)):
        await decide()
    took = []
    for _ in range(count):
        start = time.perf_counter()
        await decide()
        took.append((time.perf_counter() - start) * 1e6)
    took.sort()
    return {"p50_us": round(took[count // 2], 1), "p99_us": round(took[int(count * 0.99)], 1)}


async def throughput(decide: Decide, each: int) -> float:
    async def caller() -> None:
        for _ in range(each):
            await decide()

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CONCURRENT)))
    return round(CONCURRENT * each / (time.perf_counter() - start))


def cpu_us(server: RedisServer) -> float:
    """Microseconds the server has spent in scripts, which is where every contestant decides."""
    with server.sync() as client:
        return float(client.info("commandstats").get("cmdstat_evalsha", {}).get("usec", 0))


async def measure(name: str, server: RedisServer, decide: Decide, count: int) -> dict[str, Any]:
    row: dict[str, Any] = await latencies_us(decide, count)
    with server.sync() as client:
        client.config_resetstat()
    row["decisions_s_at_64"] = await throughput(decide, max(10, count // 20))
    row["redis_cpu_us"] = round(cpu_us(server) / (CONCURRENT * max(10, count // 20)), 1)
    print(f"  {name:28} {row}", flush=True)
    return row


async def contestants(server: RedisServer, scopes: int, count: int) -> dict[str, dict[str, Any]]:
    rows = {}
    client = Redis(host="127.0.0.1", port=PORT)
    empty = await client.script_load("return 1")
    rows["empty EVALSHA"] = await measure("empty EVALSHA", server, lambda: client.evalsha(empty, 0), count)

    ours = Limiter(client, deadline_s=5)
    asked = charges(scopes)
    rows["sluice"] = await measure("sluice", server, lambda: ours.acquire(asked), count)
    tokens = [Charge(charge.policy, charge.subject, 50) for charge in charges(scopes, unit="total_tokens")]
    rows["sluice, tokens"] = await measure("sluice, tokens", server, lambda: ours.acquire(tokens), count)
    await ours.close()

    sorted_set = await client.script_load(SORTED_SET)
    numbers = iter(range(10**9))
    keys = [f"z:{scope}" for scope in list(Scope)[:scopes]]
    rows["sorted-set log"] = await measure(
        "sorted-set log", server, lambda: client.evalsha(sorted_set, len(keys), *keys, HIGH, next(numbers)), count
    )

    storage = limits.aio.storage.RedisStorage(f"async+redis://127.0.0.1:{PORT}", implementation="redispy")
    strategy = limits.aio.strategies.MovingWindowRateLimiter(storage)
    item = limits.parse(f"{HIGH}/minute")

    async def all_of_limits() -> None:
        for scope in list(Scope)[:scopes]:
            await strategy.hit(item, scope, "acme")

    rows["limits, asyncio"] = await measure("limits, asyncio", server, all_of_limits, count // 4)

    sync_strategy = limits.strategies.MovingWindowRateLimiter(
        limits.storage.RedisStorage(f"redis://127.0.0.1:{PORT}")  # type: ignore[arg-type]
    )

    def all_of_limits_sync() -> None:
        for scope in list(Scope)[:scopes]:
            sync_strategy.hit(item, scope, "acme-sync")

    rows["limits, sync"] = sync_row(all_of_limits_sync, count // 4)
    print(f"  {'limits, sync':28} {rows['limits, sync']}", flush=True)

    # pyrate-limiter keeps one client a bucket, and takes the time from the host.
    buckets = [
        await pyrate_limiter.RedisBucket.init([pyrate_limiter.Rate(HIGH, 60_000)], client, f"p:{scope}")
        for scope in list(Scope)[:scopes]
    ]
    limiters = [pyrate_limiter.Limiter(bucket) for bucket in buckets]

    async def all_of_pyrate() -> None:
        for limiter in limiters:
            await limiter.try_acquire_async("acme")

    rows["pyrate-limiter"] = await measure("pyrate-limiter", server, all_of_pyrate, count // 4)
    await client.aclose()
    return rows


def sync_row(decide: Callable[[], None], count: int) -> dict[str, Any]:
    took = []
    for _ in range(count):
        start = time.perf_counter()
        decide()
        took.append((time.perf_counter() - start) * 1e6)
    took.sort()
    with ThreadPoolExecutor(CONCURRENT) as pool:
        start = time.perf_counter()
        list(pool.map(lambda _: decide(), range(count)))
        rate = count / (time.perf_counter() - start)
    return {
        "p50_us": round(took[count // 2], 1),
        "p99_us": round(took[int(count * 0.99)], 1),
        "decisions_s_at_64": round(rate),
    }


async def _fill(policy: RateLimitPolicy, subject: str, cost: int, size: int) -> None:
    """Logs so many requests, and leaves no connection (nor its buffers) behind."""
    client = Redis(host="127.0.0.1", port=PORT)
    limiter = Limiter(client, deadline_s=30)
    for at in range(0, size, 500):
        count = min(500, size - at)
        await asyncio.gather(*(limiter.acquire([Charge(policy, subject, cost)]) for _ in range(count)))
    await limiter.close()
    await client.aclose()
    await asyncio.sleep(0.2)


async def memory(server: RedisServer, sizes: list[int]) -> dict[str, dict[int, float]]:
    """Bytes per logged request: the difference of INFO used_memory before and after, over the number logged."""
    found: dict[str, dict[int, float]] = {}
    client = Redis(host="127.0.0.1", port=PORT)
    for label, fields, cost in (("requests", {}, 1), ("tokens", {"unit": "total_tokens"}, 1_500)):
        for size in sizes:
            await client.flushall()
            policy = RateLimitPolicy(name="m", scope="TENANT", limit=10**12, window="1h", **fields)
            await _fill(policy, "warm", cost, 1)
            before = (await client.info("memory"))["used_memory"]
            await _fill(policy, "acme", cost, size)
            after = (await client.info("memory"))["used_memory"]
            found.setdefault(label, {})[size] = round((after - before) / size, 1)
        print(f"  bytes a logged request, {label}: {found[label]}", flush=True)
    await client.aclose()
    return found


async def big_log_us(server: RedisServer) -> dict[str, float]:
    """How long Redis took for a decision on a token log of 100,000 entries: the median of denials at every depth, and
    of admissions while the window slides a second at a time. (Maxima on a shared machine tell of other processes.)"""
    client = Redis(host="127.0.0.1", port=PORT)
    await client.flushall()
    policy = RateLimitPolicy(name="m", scope="TENANT", limit=10**12, window="1h", unit="total_tokens")
    now = [1_800_000_000.0]
    ours = Limiter(client, deadline_s=30, steered_clock=lambda: now[0])
    await client.config_set("slowlog-log-slower-than", 0)
    await client.config_set("slowlog-max-len", 10_000)
    await client.slowlog_reset()

    async def median(what: Awaitable[Any]) -> float:
        await client.slowlog_reset()
        await what
        took = [entry["duration"] for entry in await client.slowlog_get(10_000) if entry["command"][:7] == b"EVALSHA"]
        return float(statistics.median(took))

    async def fill() -> None:
        for _ in range(200):
            now[0] += 1
            await asyncio.gather(*(ours.acquire([Charge(policy, "acme", 1_500)]) for _ in range(500)))

    async def deny() -> None:
        for share in range(1, 200):
            low = policy.model_copy(update={"limit": 100_000 * 1_500 * share // 200})
            await ours.acquire([Charge(low, "acme", 1_000)])

    async def slide() -> None:
        now[0] += 3_500
        for _ in range(100):
            now[0] += 1
            await ours.acquire([Charge(policy, "acme", 1_500)])

    await fill()
    found = {"denied": await median(deny()), "admitted": await median(slide())}
    await ours.close()
    await client.config_set("slowlog-log-slower-than", 10_000)
    await client.aclose()
    print(f"  Redis CPU at 100,000 tokens entries, us: {found}", flush=True)
    return found


async def flood(server: RedisServer) -> dict[str, float]:
    """One client far over its limit: what share of its requests reaches Redis."""
    client = Redis(host="127.0.0.1", port=PORT)
    await client.flushall()
    ours = Limiter(client, deadline_s=5)
    asked = charges(6, limit=10)
    for _ in range(10):
        await ours.acquire(asked)
    before = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    start, requests = time.perf_counter(), 20_000
    for _ in range(requests // CONCURRENT):
        decisions = await asyncio.gather(*(ours.acquire(asked) for _ in range(CONCURRENT)))
        assert not any(decision.allowed for decision in decisions)
    took = time.perf_counter() - start
    after = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await ours.close()
    await client.aclose()
    row = {"commands_a_request": round((after - before) / requests, 4), "denials_s": round(requests / took)}
    print(f"  flood of denials: {row}", flush=True)
    return row


def processor() -> str:
    """The processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(rows: dict[str, dict[str, Any]]) -> str:
    lines = ["| contestant | p50 µs | p99 µs | decisions/s at 64 | Redis CPU µs |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        figures = (row["p50_us"], row["p99_us"], row["decisions_s_at_64"], row.get("redis_cpu_us", ""))
        lines.append(f"| {name} | " + " | ".join(str(figure) for figure in figures) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=4_000, help="decisions of one caller")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    options = parser.parse_args()
    run = uvloop.run if options.loop == "uvloop" else asyncio.run
    server = RedisServer(next(iter(binaries().values())), port=PORT).start()
    results: dict[str, Any] = {
        "machine": {"cpus": os.cpu_count(), "processor": processor(), "python": sys.version.split()[0]},
        "loop": options.loop,
    }
    try:
        for scopes in (1, 6):
            print(f"{scopes} scope(s)", flush=True)
            with server.sync() as client:
                client.flushall()
            results[f"scopes_{scopes}"] = run(contestants(server, scopes, options.count))
        results["flood"] = run(flood(server))
        results["big_log_us"] = run(big_log_us(server))
        results["bytes_a_request"] = run(memory(server, options.sizes))
    finally:
        server.close()
    six = results["scopes_6"]
    results["ratios"] = {
        "p50 of six scopes / empty EVALSHA": round(six["sluice"]["p50_us"] / six["empty EVALSHA"]["p50_us"], 2),
        "decisions/s at 64 of six scopes / limits, asyncio": round(
            six["sluice"]["decisions_s_at_64"] / six["limits, asyncio"]["decisions_s_at_64"], 1
        ),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    for scopes in (1, 6):
        print(f"\n{scopes} scope(s)\n{table(results[f'scopes_{scopes}'])}")
    print(f"\n{results['ratios']}\nwritten to {RESULTS}")


if __name__ == "__main__":
    main()
