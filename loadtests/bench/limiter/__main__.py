"""Runs everything: `make bench-limiter`. Results go to loadtests/results/limiter.json and docs/benchmarks.md."""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import uvloop

from loadtests.bench.limiter import contestants, logs, measures, report
from loadtests.bench.machine import load, machine
from loadtests.bench.report.page import write_section
from loadtests.bench.report.results import ROOT, keep
from tests.policies.redis_server import RedisServer, binaries

PORT = int(os.environ.get("BENCH_REDIS_PORT", "7831"))
PACKAGES = ("redis", "hiredis", "limits", "pyrate-limiter", "uvloop")
MEASURED = (ROOT / "policies", *(Path(module.__file__ or "") for module in (contestants, measures, logs)))
"""Runs are put beside one another only while what is in these is the same."""


def measure(server: RedisServer, options: argparse.Namespace) -> dict[str, Any]:
    with server.sync() as client:
        on = machine(*PACKAGES, **{"redis-server": client.info("server")["redis_version"]})
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": on}
    start = time.monotonic()

    def found(name: str, value: Any) -> None:
        results[name] = value
        print(f"{time.monotonic() - start:5.0f} s  {name}: {json.dumps(value)}", flush=True)

    found("over_admission", measures.over_admission(PORT))  # first: they fork, and no thread runs yet
    found("sliding", measures.fullest_over_limit(PORT))
    for scopes in (1, 6):
        found(f"scopes_{scopes}", uvloop.run(measures.compare(PORT, scopes, options.rounds, options.count)))
    found("flood", uvloop.run(measures.flood(PORT)))
    found("longest_us", uvloop.run(logs.longest_calls_us(PORT)))
    found("bytes", uvloop.run(logs.bytes_an_entry(PORT, options.sizes)))
    results["took_s"] = round(time.monotonic() - start, 1)
    on["load_after"] = load()
    read: dict[str, Any] = json.loads(json.dumps(results))  # as whoever reads the file has it: keys are text
    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few short rounds; keeps nothing")
    parser.add_argument("--rounds", type=int, default=15, help="how often each contestant is measured")
    parser.add_argument("--count", type=int, default=200, help="decisions of one caller in one round")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 100_000, 1_000_000], help="entries in a log")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.count, options.sizes = 3, 50, [1_000, 100_000]
    server = RedisServer(next(iter(binaries().values())), port=PORT)
    try:
        server.start()
        results = measure(server, options)
    finally:
        server.close()
    targets = report.targets(results)
    if options.quick:
        results = {**results, "targets": [target.as_json() for target in targets], "runs": []}
    else:
        results = keep("limiter", results, targets, MEASURED)
        if not options.no_docs:
            write_section("limiter", report.page(results))
            report.plot(results)
    print("\n" + report.page(results))


if __name__ == "__main__":
    main()
