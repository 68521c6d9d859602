"""Measures what grows: results go to loadtests/results/growth.json, docs/benchmarks.md, its plot, and docs/scaling.md.

    python -m loadtests.bench.growth                      # a quarter of an hour; part of `make bench`
    python -m loadtests.bench.growth --quick --only shards,router   # parts, briefly; keeps nothing
    python -m loadtests.bench.growth.scaling              # docs/scaling.md again, of what is kept

Needs wrk and a redis-server that knows Cluster.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop

from loadtests.bench.growth import (
    cluster,
    in_ray,
    ingress_level,
    limiter_level,
    primary,
    report,
    router,
    scaling,
    shards,
)
from loadtests.bench.limiter.logs import bytes_an_entry
from loadtests.bench.machine import load, machine
from loadtests.bench.report.page import write_section
from loadtests.bench.report.results import ROOT, keep
from loadtests.bench.serving import free_port, redis_server, serving
from tests.policies.redis_server import RedisServer, binaries

PACKAGES = ("ray", "uvicorn", "redis", "hiredis", "uvloop")
BENCH = ROOT / "loadtests" / "bench"
MEASURED = (
    *(ROOT / name for name in ("deployments", "policies", "serve_app")),
    *(
        BENCH / name
        for name in (
            "applications",
            "catalogue",
            "growth",
            "limiter",
            "lone_ingress.py",
            "serving.py",
            "wrk.py",
            "wrk.lua",
        )
    ),
)
"""Runs are put beside one another only while what is in these is the same."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    rounds: int
    seconds: float
    """Of each round; whole ones."""
    entries: tuple[int, ...]
    keys: tuple[int, ...]
    bytes_at: tuple[int, ...]
    seeds: int
    windows: int
    """That a simulation lasts."""


WHOLE = Extent(3, 2, limiter_level.ENTRIES, ingress_level.CATALOGUE_SIZES, (1_000, 100_000, 1_000_000), 2, 3)
QUICK = Extent(1, 1, (100, 10_000), (10, 10_000), (1_000, 10_000), 1, 2)


def _limiter(extent: Extent, _: Say) -> dict[str, Any]:
    with _redis() as server:
        return {
            "policies": uvloop.run(limiter_level.by_policies(server.port, 2 * extent.rounds - 1)),
            "entries": uvloop.run(limiter_level.by_entries(server.port, 2 * extent.rounds - 1, extent.entries)),
        }


def _bytes(extent: Extent, _: Say) -> dict[str, Any]:
    with _redis() as server:
        return uvloop.run(bytes_an_entry(server.port, extent.bytes_at))


def _primary(extent: Extent, _: Say) -> dict[str, Any]:
    with _redis() as server:
        return primary.carried(server.port, extent.rounds, extent.seconds / 2)


def _cluster(extent: Extent, _: Say) -> dict[str, Any]:
    return cluster.measured(_binary(), max(1, extent.rounds - 1), extent.seconds / 2)


def _shards(extent: Extent, _: Say) -> dict[str, Any]:
    return {
        "cases": shards.simulated(extent.seeds, extent.windows),
        "choosing_us": {str(parts): shards.choosing_us(parts) for parts in (8, 64)},
    }


def _router(extent: Extent, _: Say) -> dict[str, Any]:
    return asyncio.run(router.measured(max(1, extent.rounds - 1), extent.seconds))


def _ingress(extent: Extent, _: Say) -> dict[str, Any]:
    with _redis() as server:
        return {
            "policies": ingress_level.by_policies(server, extent.rounds, extent.seconds),
            "catalogue": ingress_level.by_catalogue(server, extent.rounds, extent.seconds, extent.keys),
        }


def _serve(extent: Extent, say: Say) -> dict[str, Any]:
    with redis_server() as redis_url, serving(in_ray.applications(redis_url)) as served:
        say(f"Ray Serve answers after {served.started_in_s:.0f} s")
        return {
            "replicas": in_ray.by_replicas(served, extent.rounds, extent.seconds, say),
            "router_in_ray": in_ray.router(served, max(1, extent.rounds - 1), 2 * extent.seconds, say),
        }


PARTS: dict[str, Callable[[Extent, Say], dict[str, Any]]] = {
    "limiter": _limiter,
    "bytes": _bytes,
    "primary": _primary,
    "cluster": _cluster,
    "shards": _shards,
    "router": _router,
    "ingress": _ingress,
    "serve": _serve,
}
"""In the order in which they run. Only the last needs Ray."""


def _binary() -> str:
    return next(iter(binaries().values()))


@contextmanager
def _redis() -> Iterator[RedisServer]:
    """A redis-server of our own, empty at first."""
    server = RedisServer(_binary(), port=free_port())
    try:
        server.start()
        yield server
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round of each, smaller sizes; keeps nothing")
    parser.add_argument("--only", default="", help=f"parts, with commas: {', '.join(PARTS)}; keeps nothing")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    wanted = [name for name in options.only.split(",") if name]
    unknown = set(wanted) - set(PARTS)
    if unknown:
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    results = run(wanted or list(PARTS), QUICK if options.quick else WHOLE)
    if wanted:
        print(json.dumps(results, indent=2))
        return
    targets = report.targets(results)
    if options.quick:
        results = {**results, "targets": [target.as_json() for target in targets], "runs": []}
        parts = [make(results) for make in scaling.PARTS.values()]  # it can be told, as after a whole run
        print("\n" + "\n\n".join(parts))
    else:
        results = keep("growth", results, targets, MEASURED)
        if not options.no_docs:
            report.plot(results)
            write_section("growth", report.section(results))
            scaling.write(results)
    print("\n" + report.section(results).replace("**", ""))


def run(wanted: list[str], extent: Extent) -> dict[str, Any]:
    """Measures; the results as whoever reads their file has them."""
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", flush=True)

    with _redis() as server, server.sync() as client:
        on = machine(*PACKAGES, **{"redis-server": client.info("server")["redis_version"]})
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": on}
    for name in wanted:
        found = PARTS[name](extent, say)
        results |= found if name == "serve" else {name: found}
        say(f"{name} is done")
    on["load_after"] = load()
    results["took_s"] = round(time.monotonic() - began, 1)
    results["options"] = {"rounds": extent.rounds, "seconds": extent.seconds, "connections": in_ray.CONNECTIONS}
    read: dict[str, Any] = json.loads(json.dumps(results))
    return read


if __name__ == "__main__":
    main()
