"""Measures the whole chain: results go to loadtests/results/chain.json, docs/benchmarks.md and its plot.

    python -m loadtests.bench.chain                        # ten minutes; part of `make bench`
    python -m loadtests.bench.chain --quick --only denied  # a minute, to try something out; writes no docs

Sluice, the same with `limits` for its limiter, and a bare Ray Serve application run side by side in one Ray Serve with
the fast lane on; wrk asks each of them in turn.
"""

import argparse
import json
import time
from typing import Any

from loadtests.bench.chain import cases, measures, report
from loadtests.bench.machine import load, machine, redis_version
from loadtests.bench.report.page import write_section
from loadtests.bench.report.results import ROOT, keep
from loadtests.bench.serving import redis_server, serving

PACKAGES = ("ray", "fastapi", "uvicorn", "redis", "hiredis", "limits")
BENCH = ROOT / "loadtests" / "bench"
MEASURED = (
    *(ROOT / name for name in ("deployments", "policies", "serve_app")),
    *(BENCH / name for name in ("applications", "chain", "serving.py", "wrk.py", "wrk.lua")),
)
"""Runs are put beside one another only while what is in these is the same."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of a second each; keeps nothing")
    parser.add_argument("--rounds", type=int, default=9, help="how often each contestant is measured")
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement; whole ones")
    parser.add_argument(
        "--only", default="", help=f"cases, with commas: {', '.join(each.name for each in cases.CASES)}"
    )
    parser.add_argument("--no-docs", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    wanted = [name for name in options.only.split(",") if name]
    unknown = set(wanted) - {each.name for each in cases.CASES}
    if unknown:
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}")
    chosen = tuple(each for each in cases.CASES if not wanted or each.name in wanted)
    results = run(chosen, options.rounds, options.seconds)
    targets = report.targets(results["cases"])
    if options.quick or wanted:
        results = {**results, "targets": [target.as_json() for target in targets], "runs": []}
    else:
        results = keep("chain", results, targets, MEASURED)
        if not options.no_docs:
            report.plot(results)
            write_section("chain", report.section(results))
    print("\n" + report.text(results))


def run(chosen: tuple[cases.Case, ...], rounds: int, seconds: float) -> dict[str, Any]:
    """Measures; the results as whoever reads their file has them."""
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", flush=True)

    with redis_server() as redis_url:
        on = machine(*PACKAGES, **{"redis-server": redis_version(redis_url)})
        say("starting Ray Serve")
        with serving(cases.applications(redis_url, chosen)) as served:
            say(f"everything answers after {served.started_in_s:.0f} s; warming up")
            found = measures.measured(served, chosen, rounds, seconds, say)
    on["load_after"] = load()
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": on,
        "took_s": round(time.monotonic() - began, 1),
        "options": {"rounds": rounds, "seconds": seconds},
        "cases": measures.summaries(found, chosen),
    }
    read: dict[str, Any] = json.loads(json.dumps(results))
    return read


if __name__ == "__main__":
    main()
