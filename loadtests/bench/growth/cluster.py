"""Redis Clusters of several sizes on this machine: what a decision costs each primary, and how often it travels.

Throughput cannot be shown where all primaries share the machine's cores. What a primary spends for each decision can: the
busiest of them is the one that is full first.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from redis import Redis as BlockingRedis
from redis.asyncio import RedisCluster

from loadtests.bench.growth.spread import Spread, spreads
from policies import Charge, Limiter
from policies.catalogue import Catalogue
from policies.resolver import Resolver
from tests.policies.redis_nodes import ClusterGroup
from tests.policies.redis_server import RedisServer

PRIMARIES = (1, 2, 3, 6)
TENANTS, MODELS, TIERS = 200, 32, 2
CALLERS = 16
LIMIT = 10**9

OWN: list[dict[str, Any]] = [
    {"name": "key", "scope": "API_KEY"},
    {"name": "user", "scope": "USER_MODEL"},
    {"name": "tenant", "scope": "TENANT"},
]
MODEL = {"name": "model", "scope": "MODEL"}
TIER = {"name": "tier", "scope": "MODEL_TIER"}
EVERYBODY = {"name": "everybody", "scope": "GLOBAL"}
SHARDS = 64

LAYOUTS: dict[str, list[dict[str, Any]]] = {
    "six windows, GLOBAL whole": [*OWN, MODEL, TIER, EVERYBODY],
    "six windows, GLOBAL split": [*OWN, MODEL, {**TIER, "per": ["tenant"]}, {**EVERYBODY, "shards": SHARDS}],
    "what is a tenant's own": [*OWN, {**MODEL, "per": ["tenant"]}, {**TIER, "per": ["tenant"]}],
}
"""Policies by how they are laid out. In the second and the third a tier's window is kept for each tenant."""


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
    limits = [{"limit": LIMIT, "window": "1s", **policy} for policy in policies]
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
    for name in names:
        for _ in range(5):
            identity, model = resolver.identity(f"k{name}"), resolver.model(f"m{rng.randrange(MODELS)}")
            assert identity is not None
            assert model is not None
            found.append(resolver.charges(identity, model, {"requests": 1}))  # type: ignore[dict-item]
    rng.shuffle(found)
    return found


async def one_round(group: ClusterGroup, layout: str, seconds: float) -> dict[str, float]:
    redis = RedisCluster(host="127.0.0.1", port=group.primaries[0].port)
    limiter = Limiter(redis, deadline_s=30)
    requests = asked(LAYOUTS[layout])
    took_us, at, end = [], 0, 0.0

    async def caller() -> None:
        nonlocal at
        while time.perf_counter() < end:
            at += 1
            assert (await limiter.acquire(requests[at % len(requests)])).allowed

    async def alone(count: int) -> None:
        for n in range(count):
            begun = time.perf_counter()
            await limiter.acquire(requests[n % len(requests)])
            took_us.append((time.perf_counter() - begun) * 1e6)

    await alone(len(requests))  # every node knows the scripts, every place is worked out
    took_us.clear()
    await alone(200)
    before, at = [spent(server) for server in group.primaries], 0
    end = time.perf_counter() + seconds
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    after = [spent(server) for server in group.primaries]
    await limiter.close()
    await redis.aclose()
    cpu_us = [(b.cpu_s - a.cpu_s) / at * 1e6 for a, b in zip(before, after, strict=True)]
    scripts = [b.scripts - a.scripts for a, b in zip(before, after, strict=True)]
    return {
        "p50_us": median(took_us),
        "scripts": sum(scripts) / at,
        "script_us": sum(b.script_us - a.script_us for a, b in zip(before, after, strict=True)) / at,
        "cpu_us": sum(cpu_us),
        "busiest_cpu_us": max(cpu_us),
        "busiest_share": max(cpu_us) / sum(cpu_us),
    }


def measured(binary: str, rounds: int, seconds: float) -> dict[str, dict[str, dict[str, Spread]]]:
    """By layout and number of primaries; the layouts take turns on one Cluster after the other."""
    found: dict[str, dict[str, dict[str, Spread]]] = {layout: {} for layout in LAYOUTS}
    for primaries in PRIMARIES:
        group = ClusterGroup(binary, primaries)
        try:
            rows: dict[str, list[dict[str, float]]] = {layout: [] for layout in LAYOUTS}
            for _ in range(rounds):
                for layout in LAYOUTS:
                    group.empty()
                    rows[layout].append(asyncio.run(one_round(group, layout, seconds)))
        finally:
            group.close()
        for layout in LAYOUTS:
            found[layout][str(primaries)] = spreads(rows[layout])
    return found
