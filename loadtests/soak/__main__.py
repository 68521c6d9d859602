"""`make soak`: 45 minutes at 70 % of what the server can take; fails if anything grows or is left behind.

    python -m loadtests.soak                 # 45 minutes and some: growth is judged over the last 30
    python -m loadtests.soak --minutes 2     # to see that it runs; keeps nothing

Sluice runs in its fast lane with a Redis of its own. wrk sends whole requests, streams and requests that are denied,
with pauses such that they come to the share; beside it clients leave in the middle of streams, and somebody watches the
live feed now and then. Results: loadtests/results/soak.json and docs/benchmarks.md.
"""

import argparse
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

from loadtests.bench.applications import CHUNKS, MODEL, sluice
from loadtests.bench.machine import load, machine, redis_version
from loadtests.bench.report.page import write_section
from loadtests.bench.report.results import ROOT, keep
from loadtests.bench.serving import Served, redis_server, serving
from loadtests.bench.wrk import WrkError
from loadtests.soak import report
from loadtests.soak.leftovers import held, left_behind
from loadtests.soak.samples import Sample, least_held, sample
from loadtests.soak.traffic import Company, mixed, pause_for

MODELS = {
    MODEL: {"first_token_ms": 5, "inter_token_ms": 1, "reply_tokens": CHUNKS},
    "slow": {"first_token_ms": 20, "inter_token_ms": 50, "reply_tokens": CHUNKS},
}
SHARE = 0.7
STRETCH_S = 20
"""Until the pace is put right again; of each, what processes held at the least counts as their memory."""
SETTLED_S = 3.0
"""Until what ended last is settled: far less than a lease lasts, which would hide a slot that nobody gave back."""
PASSED_S = 190.0
"""Windows of a minute leave keys for up to three of them (`lua/log.lua`); idle connections are closed meanwhile."""
KEPT_MINUTES = 45


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=KEPT_MINUTES)
    options = parser.parse_args()
    with redis_server() as redis_url:
        on = machine("ray", "uvicorn", "redis", **{"redis-server": redis_version(redis_url)})
        print("starting Ray Serve", flush=True)
        with serving([sluice(redis_url, models=MODELS)]) as served:
            results = {"date": time.strftime("%Y-%m-%d"), "machine": on, **run(served, redis_url, options.minutes)}
    on["load_after"] = load()
    if options.minutes >= KEPT_MINUTES:
        results = keep("soak", results, (), [ROOT / name for name in ("deployments", "policies", "serve_app")])
        write_section("soak", report.section(results))
    print(f"\n{report.section(results)}")
    failures = report.failures(results)
    if failures:
        raise SystemExit("FAILED: " + "; ".join(failures))


def run(served: Served, redis_url: str, minutes: float) -> dict[str, Any]:
    """The whole of it; the results as their file has them."""
    with Company(served).beside():  # or what it opens for good would seem to be left behind
        mixed(served, 10, 0, seed=0)
    saturation = mixed(served, 15, 0, seed=1)
    print(f"saturated at {saturation.requests_s:,.0f} requests/s; letting the windows pass", flush=True)
    processes = served.roles()
    time.sleep(PASSED_S)
    began = time.monotonic()
    before = sample(processes, redis_url, began)
    samples: list[Sample] = []
    statuses: Counter[int] = Counter()
    company, errors, cut_short, lost, requests, busy_s = Company(served), 0, 0, 0, 0, 0.0
    rate_s = SHARE * saturation.requests_s
    pause_ms = pause_for(rate_s, saturation, 0)
    with company.beside():
        while time.monotonic() - began < 60 * minutes:
            try:
                with least_held(processes) as held_mib:
                    figures = mixed(served, STRETCH_S, pause_ms, seed=2 + len(samples))
            except WrkError as error:
                lost += 1
                print(f"a stretch without figures: {error}", flush=True)
                if served.process.poll() is not None or not samples:
                    raise SystemExit(f"FAILED: the server is gone: {error}") from error
                time.sleep(STRETCH_S)
                continue
            pause_ms = pause_for(rate_s, figures, pause_ms)
            statuses.update(figures.by_status)
            errors, cut_short = errors + figures.errors, cut_short + figures.cut_short
            requests, busy_s = requests + sum(figures.by_status.values()), busy_s + STRETCH_S
            samples.append(sample(processes, redis_url, began, held_mib))
            print(_line(samples[-1], figures.requests_s, figures.p99_ms, statuses), flush=True)
    time.sleep(SETTLED_S)
    left = held(served)
    print("letting the windows pass", flush=True)
    time.sleep(PASSED_S)
    left += left_behind(before, sample(processes, redis_url, began), served.roles().keys() - processes.keys())
    return {
        "minutes": minutes,
        "saturation_s": round(saturation.requests_s, 1),
        "requests_s": round(requests / busy_s, 1),
        "share": round(requests / busy_s / saturation.requests_s, 3),
        "by_status": {str(status): count for status, count in sorted(statuses.items())},
        "errors": errors,
        "cut_short": cut_short,
        "lost": lost,
        "left": company.left,
        "watched": company.watched,
        "troubles": dict(company.troubles),
        "growth": report.growth(samples),
        "leftovers": [{**asdict(each), "gone": each.gone} for each in left],
        "samples": [asdict(each) for each in samples],
    }


def _line(taken: Sample, requests_s: float, p99_ms: float, statuses: Counter[int]) -> str:
    memory = ", ".join(f"{role} {taken.memory_mib.get(role, 0):.1f}" for role in report.OURS)
    return (
        f"{taken.at_s:5.0f} s  {requests_s:6.0f}/s  p99 {p99_ms:6.1f} ms  {dict(statuses)}  MiB: {memory}; "
        f"Redis {taken.redis_mib:.1f} MiB, {taken.redis_keys} keys, {taken.redis_clients} connections"
    )


if __name__ == "__main__":
    main()
