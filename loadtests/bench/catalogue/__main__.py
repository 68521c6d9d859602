"""`make bench-catalogue`: growth with the number of keys and policies, and how fast a change is everywhere.

Each size has a redis-server of its own and three processes one after the other, started anew; figures are medians.
Prints a table and writes loadtests/results/catalogue.json.
"""

import asyncio
import json
import platform
import subprocess
import sys
import time
from statistics import median
from typing import Any

import uvloop

from loadtests.bench.catalogue.filling import ACTOR, fill, policy
from loadtests.bench.report.results import RESULTS, ROOT
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import TIMEOUT_S, CatalogueStore
from policies.connect import connect
from tests.policies.redis_server import RedisServer, binaries

SIZES = ((10, 6), (10_000, 1_000), (1_000_000, 10_000))
LOOKED_UP = 10_000
RUNS = 3
CHANGES = 300
REPLICAS = 4


def _store(server: RedisServer) -> CatalogueStore:
    return CatalogueStore(connect(f"unix://{server.socket}", timeout_s=TIMEOUT_S))


async def _filled(server: RedisServer, keys: int, policies: int) -> dict[str, Any]:
    store = _store(server)
    start = time.perf_counter()
    entities = await fill(store, keys, policies)
    took_s = time.perf_counter() - start
    memory = (await store.redis.info("memory"))["used_memory"]
    await store.close()
    return {"entities": entities, "fill_s": round(took_s, 2), "redis_mb": round(memory / 1e6, 1)}


async def _propagation(server: RedisServer) -> dict[str, float]:
    """From before a policy is written until each of several followers judges by it, as all of them in one process."""
    lives = [LiveCatalogue(_store(server)) for _ in range(REPLICAS)]
    await asyncio.gather(*(live.start(60) for live in lives))
    store, took = _store(server), []
    for n in range(CHANGES):
        watched = policy("watched", "GLOBAL", n + 1)
        start = time.perf_counter()
        stored = await store.put(watched, ACTOR, "update", expected=None, here=())
        await asyncio.gather(*(live.seen(stored.version, 5) for live in lives))
        took.append(time.perf_counter() - start)
        await asyncio.sleep(0.003 * (n % 10))
    for live in lives:
        await live.close()
        await live.store.close()
    await store.close()
    took.sort()
    return {"p50_ms": round(median(took) * 1e3, 2), "max_ms": round(took[-1] * 1e3, 2), "replicas": REPLICAS}


def _process(server: RedisServer, keys: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "loadtests.bench.catalogue.process", server.socket, str(keys), str(LOOKED_UP)]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout))


def _medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in runs[0].items():
        values = [run[name] for run in runs]
        out[name] = _medians(values) if isinstance(value, dict) else median(values)
    return out


def main() -> None:
    """Measures every size and prints what it found."""
    results = []
    for keys, policies in SIZES:
        print(f"{keys:,} keys, {policies:,} policies", file=sys.stderr)
        server = RedisServer(next(iter(binaries().values())))
        try:
            server.start()
            row = {"keys": keys, "policies": policies, **uvloop.run(_filled(server, keys, policies))}
            row |= _medians([_process(server, keys) for _ in range(RUNS)])
            row["propagation"] = uvloop.run(_propagation(server))
        finally:
            server.close()
        results.append(row)
        print(json.dumps(row, indent=2))
    report = {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), "runs": RUNS, "sizes": results}
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "catalogue.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
