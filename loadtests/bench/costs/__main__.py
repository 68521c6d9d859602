"""Measures starts, memory and the live feed: results go to loadtests/results/costs.json and docs/benchmarks.md.

    python -m loadtests.bench.costs                # five minutes; part of `make bench`
    python -m loadtests.bench.costs --quick        # each briefly; keeps nothing
    python -m loadtests.bench.costs --only alone   # the live feed of an ingress alone: `make bench-live`

Needs wrk and a redis-server.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from loadtests.bench.applications import ROOMY, body, headers, sluice
from loadtests.bench.costs import live_feed, memory, report, starts
from loadtests.bench.machine import load, machine, redis_version
from loadtests.bench.report.page import write_section
from loadtests.bench.report.results import ROOT, keep
from loadtests.bench.serving import Served
from loadtests.bench.wrk import drive
from serve_app.runtime_dir import ensure_runtime_dir
from tests.policies.redis_server import RedisServer, binaries

PARTS = ("starts", "alone")
"""`starts`: with memory and the live feed of the whole chain, which need a server too. `alone`: the live feed of an
ingress."""
BENCH = ROOT / "loadtests" / "bench"
MEASURED = (
    *(ROOT / name for name in ("deployments", "policies", "serve_app")),
    *(BENCH / name for name in ("applications", "costs", "lone_ingress.py", "serving.py", "wrk.py", "wrk.lua")),
)
"""Runs are put beside one another only while what is in these is the same."""
SLUICE = "sluice"
BUSY_S = 3
"""Of traffic before memory is looked at."""

Say = Callable[[str], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one start, one round of a second; keeps nothing")
    parser.add_argument("--starts", type=int, default=2, help="of `sluice up`")
    parser.add_argument("--rounds", type=int, default=12, help="of each mode of the live feed")
    parser.add_argument("--seconds", type=float, default=2, help="of each round; whole ones")
    parser.add_argument("--only", default="", help=f"parts, with commas: {', '.join(PARTS)}; keeps nothing")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    if options.quick:
        options.starts = options.rounds = options.seconds = 1
    wanted = [name for name in options.only.split(",") if name]
    unknown = set(wanted) - set(PARTS)
    if unknown:
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    results = run(wanted or PARTS, options)
    if wanted:
        print(json.dumps(results, indent=2))
        return
    targets = report.targets(results)
    if options.quick:
        results = {**results, "targets": [target.as_json() for target in targets], "runs": []}
    else:
        results = keep("costs", results, targets, MEASURED)
        if not options.no_docs:
            write_section("costs", report.section(results))
    print("\n" + report.section(results).replace("**", ""))


def run(wanted: tuple[str, ...] | list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Measures; the results as whoever reads their file has them."""
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", flush=True)

    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "live_feed": {}}
    server = RedisServer(next(iter(binaries().values())))
    try:
        server.start()
        on = machine("ray", "uvicorn", "redis", **{"redis-server": redis_version(f"unix://{server.socket}")})
        results["machine"] = on
        if "alone" in wanted:
            results["live_feed"]["alone"] = live_feed.alone(server.socket, options.rounds, options.seconds)
            say("the live feed of an ingress alone is measured; starting Ray Serve")
    finally:
        server.close()
    if "starts" in wanted:
        _with_serve(results, options, say)
    on["load_after"] = load()
    results["took_s"] = round(time.monotonic() - began, 1)
    results["options"] = {name: getattr(options, name) for name in ("starts", "rounds", "seconds")}
    read: dict[str, Any] = json.loads(json.dumps(results))
    return read


def _with_serve(results: dict[str, Any], options: argparse.Namespace, say: Say) -> None:
    def meanwhile(served: Served) -> None:
        found = drive(served.url(SLUICE), body(), headers(ROOMY), connections=16, duration_s=BUSY_S)
        if found.wrong():
            raise RuntimeError(f"not all replies are 200: {found}")
        results["memory"] = memory.held(served)
        say("memory is looked at; the live feed of the whole chain")
        redis_url = f"unix://{ensure_runtime_dir(served.state_dir) / 'redis.sock'}"
        results["live_feed"]["chain"] = live_feed.chain(served, SLUICE, redis_url, options.rounds, options.seconds)

    results["starts"] = starts.measured([sluice("embedded", name=SLUICE)], options.starts, meanwhile, say)


if __name__ == "__main__":
    main()
