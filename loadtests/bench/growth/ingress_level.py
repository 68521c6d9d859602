"""The ingress in one process without Ray, by the number of policies that apply and by the size of the catalogue.

Servers of all sizes run at the same time over one Redis and take turns; wrk drives. Beside throughput and latency
stands what the server's process and Redis spend for each request.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from deployments.ingress.authentication import sha256_of
from loadtests.bench.catalogue.filling import fill, key_id
from loadtests.bench.growth.limiter_level import POLICIES
from loadtests.bench.lone_ingress import BODY, HEADERS, LoneIngress, Setting, lone_ingress
from loadtests.bench.report.spreads import Spread, spreads
from loadtests.bench.wrk import SCRIPT, Figures, drive
from policies.catalogue.store import TIMEOUT_S, CatalogueStore
from policies.connect import connect
from tests.policies.redis_server import RedisServer

KEYS_SCRIPT = Path(__file__).with_name("keys.lua")
CONNECTIONS = 16
CATALOGUE_SIZES = (10, 10_000, 1_000_000)
IN_USE = 10
"""So many keys send all requests where few are in use: as many as the smallest catalogue has."""


SIX: list[dict[str, Any]] = [
    {"name": "tenant", "scope": "TENANT"},
    {"name": "everyone", "scope": "GLOBAL"},
    {"name": "key", "scope": "API_KEY"},
    {"name": "model", "scope": "MODEL"},
    {"name": "slots", "scope": "USER_MODEL", "unit": "concurrent_requests"},
    {"name": "tokens", "scope": "TENANT", "unit": "total_tokens"},
]
WINDOWS = ("1s", "10s", "1m", "1h")
OUT_OF_REACH = 10**9


def policies(count: int, denied_beyond: int | None = None) -> list[dict[str, Any]]:
    """As many that apply to every request: the six over windows of four lengths. `denied_beyond`: the limit of the
    first; the others are out of reach."""
    found = []
    for n in range(count):
        base, window = SIX[n % len(SIX)], WINDOWS[n // len(SIX) % len(WINDOWS)]
        policy = {**base, "name": f"{base['name']}-{n}", "limit": OUT_OF_REACH}
        if policy.get("unit") != "concurrent_requests":
            policy["window"] = window
        found.append(policy)
    if denied_beyond is not None:
        found[0] |= {"limit": denied_beyond, "window": "1m"}
    return found


Drive = Callable[[float], Figures]
"""One contestant's load, for so many seconds."""


def in_turns(
    redis: RedisServer, contestants: dict[str, tuple[LoneIngress, Drive, int]], rounds: int, seconds: float
) -> dict[str, dict[str, Spread]]:
    """By contestant: its server, its load, and the status that all of its replies must have."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for _, load, _ in contestants.values():
        load(1)
    for number in range(rounds):
        order = list(contestants.items())
        for name, (serving, load, status) in order if number % 2 == 0 else reversed(order):
            cpu_s, redis_s = serving.cpu_s(), _redis_s(redis)
            figures = load(seconds)
            cpu_s, redis_s = serving.cpu_s() - cpu_s, _redis_s(redis) - redis_s
            if figures.wrong(status):
                raise RuntimeError(f"{name}: replies other than whole ones of status {status}: {figures}")
            count = sum(figures.by_status.values())
            found[name].append(
                {
                    "requests_s": figures.requests_s,
                    "p50_ms": figures.p50_ms,
                    "p99_ms": figures.p99_ms,
                    "cpu_us": cpu_s / count * 1e6,
                    "redis_us": redis_s / count * 1e6,
                }
            )
    return {name: spreads(rows) for name, rows in found.items()}


def _redis_s(redis: RedisServer) -> float:
    with redis.sync() as client:
        cpu = client.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])


def by_policies(redis: RedisServer, rounds: int, seconds: float) -> dict[str, dict[str, Spread]]:
    """As many policies apply; and the six of which the first denies all."""
    settings = {str(count): (policies(count), 200) for count in POLICIES}
    settings["6, denied"] = (policies(6, denied_beyond=1), 429)
    with ExitStack() as stack:
        contestants: dict[str, tuple[LoneIngress, Drive, int]] = {}
        for at, (name, (limits, status)) in enumerate(settings.items()):
            serving = stack.enter_context(lone_ingress(Setting(redis.socket, f"p{at}", limits)))
            load = _one_key(serving.url)
            load(1)  # whatever the limit admits is gone before anything counts
            contestants[name] = serving, load, status
        return in_turns(redis, contestants, rounds, seconds)


def _one_key(url: str) -> Drive:
    return lambda seconds: drive(url, BODY, HEADERS, connections=CONNECTIONS, duration_s=seconds)


def by_catalogue(
    redis: RedisServer, rounds: int, seconds: float, sizes: Sequence[int] = CATALOGUE_SIZES
) -> dict[str, dict[str, Spread]]:
    """By the number of keys that there are, with few of them in use and with all."""
    with ExitStack() as stack:
        contestants: dict[str, tuple[LoneIngress, Drive, int]] = {}
        for keys in sizes:
            prefix = f"c{keys}"
            asyncio.run(_filled(redis, prefix, keys))
            serving = stack.enter_context(lone_ingress(Setting(redis.socket, prefix, policies(6))))
            contestants[f"{keys:,}, few in use"] = serving, _keys(serving.url, min(IN_USE, keys)), 200
            if keys > IN_USE:
                contestants[f"{keys:,}, all in use"] = serving, _keys(serving.url, keys), 200
        return in_turns(redis, contestants, rounds, seconds)


def _keys(url: str, count: int) -> Drive:
    environment = {"BENCH_SCRIPT": str(SCRIPT), "BENCH_KEYS": str(count), "BENCH_KEY_FORMAT": _key("%015d")}
    return lambda seconds: drive(
        url, BODY, connections=CONNECTIONS, duration_s=seconds, script=KEYS_SCRIPT, environment=environment
    )


def _key(number: str) -> str:
    return f"sk-k{number}-{'s' * 24}"


def key_sha256(number: int) -> str:
    """Of the key that clients present."""
    key = _key(f"{number:015}")
    assert key_id(number) in key
    return sha256_of(key)


async def _filled(redis: RedisServer, prefix: str, keys: int) -> None:
    store = CatalogueStore(connect(f"unix://{redis.socket}", timeout_s=TIMEOUT_S), prefix=prefix)
    await fill(store, keys, 0, key_sha256)
    await store.redis.aclose()
