"""Runs everything: `make bench-limiter`. Results go to loadtests/results/limiter.json and docs/benchmarks.md."""

import argparse
import hashlib
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop

from loadtests.bench.limiter import contestants, logs, measures, plot, report
from tests.policies.redis_server import RedisServer, binaries

PORT = int(os.environ.get("BENCH_REDIS_PORT", "7831"))
RESULTS = report.ROOT / "loadtests" / "results" / "limiter.json"
KEPT_RUNS = 3


def machine(server: RedisServer) -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    with server.sync() as client:
        redis = client.info("server")["redis_version"]
    return {
        "processor": next(models, platform.machine()),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "redis": redis,
        "redis_py": version("redis"),
        "hiredis": version("hiredis"),
        "limits": version("limits"),
        "pyrate_limiter": version("pyrate-limiter"),
        "loop": f"uvloop {version('uvloop')}",
    }


def measured_code() -> str:
    """Runs are put beside one another only while this is the same."""
    files = sorted([*(report.ROOT / "policies").rglob("*.py"), *(report.ROOT / "policies").rglob("*.lua")])
    files += [Path(module.__file__ or "") for module in (contestants, measures, logs)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def earlier_runs(same: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        runs = json.loads(RESULTS.read_text())["runs"]
    except (OSError, ValueError, KeyError):
        return []
    return [run for run in runs if all(run.get(field) == value for field, value in same.items())][1 - KEPT_RUNS :]


def measure(server: RedisServer, options: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(server)}
    start = time.monotonic()

    def found(name: str, value: Any) -> None:
        results[name] = value
        print(f"{time.monotonic() - start:5.0f} s  {name}: {json.dumps(value)}", flush=True)

    found("over_admission", measures.over_admission(PORT))  # first: it forks, and no thread runs yet
    for scopes in (1, 6):
        found(f"scopes_{scopes}", uvloop.run(measures.compare(PORT, scopes, options.rounds, options.count)))
    found("flood", uvloop.run(measures.flood(PORT)))
    found("longest_us", uvloop.run(logs.longest_calls_us(PORT)))
    found("bytes", uvloop.run(logs.bytes_an_entry(PORT, options.sizes)))
    results["took_s"] = round(time.monotonic() - start, 1)
    results["machine"]["load_after"] = round(os.getloadavg()[0], 1)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each contestant is measured")
    parser.add_argument("--count", type=int, default=200, help="decisions of one caller in one round")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 100_000, 1_000_000], help="entries in a log")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    server = RedisServer(next(iter(binaries().values())), port=PORT).start()
    try:
        results = measure(server, options)
    finally:
        server.close()
    targets = report.targets(results)
    same = {"code": measured_code(), "processor": results["machine"]["processor"]}
    this_run = {**same, "targets": {what: figure for what, (figure, _, _) in targets.items()}}
    results["runs"] = [*earlier_runs(same), this_run]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    results = json.loads(RESULTS.read_text())  # as whoever reads the file has it: keys are text
    if not options.no_docs:
        report.write(results)
        plot.write(results)
    print("\n" + report.page(results))


if __name__ == "__main__":
    main()
