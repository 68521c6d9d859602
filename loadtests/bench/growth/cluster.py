"""One Redis, and Clusters of several sizes, on this machine: what a request costs each primary, how often it travels.

Throughput cannot be shown where all primaries share the cores. What a primary spends for each request can: the
busiest of them is the one that is full first. A request is acquired and settled: six windows, one of them of tokens and
one of slots.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any

from redis import Redis as BlockingRedis
from redis.asyncio import Redis, RedisCluster

from loadtests.bench.report.spreads import Spread, spreads
from loadtests.bench.serving import free_port
from policies import Charge, Limiter
from policies.catalogue import Catalogue
from policies.entities import Unit
from policies.resolver import Resolver
from tests.policies.redis_nodes import ClusterGroup
from tests.policies.redis_server import RedisServer

PRIMARIES = (1, 2, 3, 6)
ALONE = "one Redis"
TENANTS, MODELS, TIERS = 200, 32, 2
CALLERS = 16
LIMIT = 10**9
RESERVED_TOKENS, USED_TOKENS = 1_500, 400

OWN: list[dict[str, Any]] = [
    {"name": "key", "scope": "API_KEY"},
    {"name": "slots", "scope": "USER_MODEL", "unit": "concurrent_requests"},
    {"name": "tokens", "scope": "TENANT", "unit": "total_tokens"},
]
MODEL = {"name": "model", "scope": "MODEL"}
TIER = {"name": "tier", "scope": "MODEL_TIER"}
EVERYBODY = {"name": "everybody", "scope": "GLOBAL"}
SHARDS = 64

LAYOUTS: dict[str, list[dict[str, Any]]] = {
    "whole": [*OWN, MODEL, TIER, EVERYBODY],
    "split": [*OWN, MODEL, {**TIER, "per": ["tenant"]}, {**EVERYBODY, "shards": SHARDS}],
    "own": [*OWN, {**MODEL, "per": ["tenant"]}, {**TIER, "per": ["tenant"]}, {"name": "all", "scope": "TENANT"}],
}
"""Policies by how they are laid out: with windows that all tenants share; with a GLOBAL one that is split, and a tier's
kept for each tenant; and with nothing shared."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a primary has spent so far."""

    scripts: int
    script_us: float
    cpu_s: float


def spent(server: RedisServer) -> Spent:
    with BlockingRedis(host="127.0.0.1", port=server.port) as client:
        script: dict[str, Any] = client.info("commandstats").get("cmdstat_evalsha", {})
        cpu = client.info("cpu")
    used_s = cpu["used_cpu_user"] + cpu["used_cpu_sys"]
    return Spent(int(script.get("calls", 0)), float(script.get("usec", 0)), float(used_s))


def asked(policies: Sequence[dict[str, Any]]) -> list[list[Charge]]:
    """What requests of many tenants to many models are charged, as the ingress would."""
    limits = [
        {"limit": LIMIT, **({} if policy.get("unit") == "concurrent_requests" else {"window": "1s"}), **policy}
        for policy in policies
    ]
    names = [f"t{n}" for n in range(TENANTS)]
    catalogue = Catalogue.parse(
        {
            "tenants": [{"name": name} for name in names],
            "users": [{"name": f"u-{name}", "tenant": name} for name in names],
            "keys": [
                {"id": f"k{name}", "user": f"u-{name}", "sha256": hashlib.sha256(name.encode()).hexdigest()}
                for name in names
            ],
            "tiers": [{"name": f"tier{n}"} for n in range(TIERS)],
            "models": [{"name": f"m{n}", "tier": f"tier{n % TIERS}"} for n in range(MODELS)],
            "policies": limits,
        }
    )
    resolver, rng, found = Resolver(catalogue), random.Random(1), []
    costs = {Unit.REQUESTS: 1, Unit.CONCURRENT_REQUESTS: 1, Unit.TOTAL_TOKENS: RESERVED_TOKENS}
    for name in names:
        for _ in range(5):
            identity, model = resolver.identity(f"k{name}"), resolver.model(f"m{rng.randrange(MODELS)}")
            assert identity is not None
            assert model is not None
            found.append(resolver.charges(identity, model, costs))
    rng.shuffle(found)
    return found


async def one_round(redis: Redis | RedisCluster, servers: Sequence[RedisServer], layout: str, seconds: float) -> Any:
    """One layout, warmed up; a row of figures."""
    limiter = Limiter(redis, deadline_s=30)
    requests = asked(LAYOUTS[layout])

    async def request(number: int) -> float:
        """Microseconds until it was admitted."""
        begun = time.perf_counter()
        decision = await limiter.acquire(requests[number % len(requests)])
        took_us = (time.perf_counter() - begun) * 1e6
        assert decision.allowed
        await limiter.settle(decision, {Unit.TOTAL_TOKENS: USED_TOKENS})
        return took_us

    for number in range(len(requests)):  # every node knows the scripts, every place is worked out
        await request(number)
    before_alone = [spent(server) for server in servers]
    took_us = [await request(number) for number in range(300)]
    numbers, end, before = count(), time.perf_counter() + seconds, [spent(server) for server in servers]

    async def caller() -> int:
        served = 0
        while time.perf_counter() < end:
            await request(next(numbers))
            served += 1
        return served

    served = sum(await asyncio.gather(*(caller() for _ in range(CALLERS))))
    after = [spent(server) for server in servers]
    await limiter.close()
    await redis.aclose()
    cpu_us = [(b.cpu_s - a.cpu_s) / served * 1e6 for a, b in zip(before, after, strict=True)]
    return {
        "p50_us": median(took_us),
        "scripts": sum(b.scripts - a.scripts for a, b in zip(before_alone, before, strict=True)) / len(took_us),
        "script_us": sum(b.script_us - a.script_us for a, b in zip(before, after, strict=True)) / served,
        "cpu_us": sum(cpu_us),
        "busiest_cpu_us": max(cpu_us),
        "busiest_share": max(cpu_us) / sum(cpu_us),
    }


Rows = dict[str, list[dict[str, float]]]


def measured(binary: str, rounds: int, seconds: float) -> dict[str, dict[str, dict[str, Spread]]]:
    """By layout, and by the number of primaries or `ALONE`. The layouts take turns on one after the other."""
    found: dict[str, Rows] = {ALONE: _alone(binary, rounds, seconds)}
    for primaries in PRIMARIES:
        group = ClusterGroup(binary, primaries)
        try:
            rows: Rows = {layout: [] for layout in LAYOUTS}
            for _ in range(rounds):
                for layout in LAYOUTS:
                    group.empty()
                    redis = RedisCluster(host="127.0.0.1", port=group.primaries[0].port)
                    rows[layout].append(asyncio.run(one_round(redis, group.primaries, layout, seconds)))
        finally:
            group.close()
        found[str(primaries)] = rows
    return {layout: {size: spreads(rows[layout]) for size, rows in found.items()} for layout in LAYOUTS}


def _alone(binary: str, rounds: int, seconds: float) -> Rows:
    rows: Rows = {layout: [] for layout in LAYOUTS}
    server = RedisServer(binary, port=free_port())
    try:
        server.start()
        for _ in range(rounds):
            for layout in LAYOUTS:
                with server.sync() as client:
                    client.flushall()
                redis = Redis(host="127.0.0.1", port=server.port)
                rows[layout].append(asyncio.run(one_round(redis, [server], layout, seconds)))
    finally:
        server.close()
    return rows
