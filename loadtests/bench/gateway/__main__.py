"""Measures Sluice beside LiteLLM's proxy: results go to loadtests/results/gateway.json and docs/benchmarks.md.

    python -m loadtests.bench.gateway            # four minutes; part of `make bench`
    python -m loadtests.bench.gateway --quick    # a round of each, to see that it runs; keeps nothing

The proxy is installed into `.venv-litellm` (once; a minute). Both run at the same time, over one Redis, and wrk asks
them in turn.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import redis

from loadtests.bench.chain import measures
from loadtests.bench.chain.cases import SLUICE
from loadtests.bench.gateway import report
from loadtests.bench.gateway.cases import CASES, LITELLM, application
from loadtests.bench.gateway.edge import Edge, at_the_edge
from loadtests.bench.gateway.proxy import Proxy, ProxyError, environment, proxy
from loadtests.bench.machine import load, machine, redis_version
from loadtests.bench.report.page import write_section
from loadtests.bench.report.results import ROOT, keep
from loadtests.bench.serving import CHAT, Served, redis_server, serving

PACKAGES = ("ray", "fastapi", "uvicorn", "redis", "hiredis")
BENCH = ROOT / "loadtests" / "bench"
MEASURED = (
    *(ROOT / name for name in ("deployments", "policies", "serve_app", "requirements/litellm.lock")),
    *(BENCH / name for name in ("applications", "gateway", "chain/measures.py", "serving.py", "wrk.py", "wrk.lua")),
)
"""Runs are put beside one another only while what is in these is the same."""


@dataclass(frozen=True, slots=True)
class Both:
    """Sluice and the proxy, as whoever drives them asks for either."""

    served: Served
    beside: Proxy

    def url(self, application: str) -> str:
        """Of the chat completions."""
        return f"{self.beside.base_url}{CHAT}" if application == LITELLM else self.served.url(application)

    def replicas(self, application: str) -> list[psutil.Process]:
        """The processes whose CPU and memory are counted."""
        return self.beside.processes() if application == LITELLM else self.served.replicas(application)

    def memory_mib(self, application: str) -> float:
        """Of those, without what they share."""
        return sum(each.memory_full_info().uss for each in self.replicas(application)) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of each; keeps nothing")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant is measured")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement, times two; whole ones")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    results = run(options.rounds, options.seconds)
    targets = report.targets(results)
    if options.quick:
        results = {**results, "targets": [target.as_json() for target in targets], "runs": []}
    else:
        results = keep("gateway", results, targets, MEASURED)
        if not options.no_docs:
            write_section("gateway", report.section(results))
    print("\n" + report.text(results))


def run(rounds: int, seconds: float) -> dict[str, Any]:
    """Measures; the results as whoever reads their file has them."""
    version = environment()
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", flush=True)

    with redis_server() as redis_url:
        on = machine(*PACKAGES, **{"redis-server": redis_version(redis_url), "litellm": version})
        say("starting LiteLLM's proxy, then Ray Serve")
        with proxy(redis_url) as beside, serving([application(redis_url)]) as served:
            both = Both(served, beside)
            say("both answer; warming up")
            found = measures.measured(both, CASES, rounds, seconds, say)
            memory = {name: round(both.memory_mib(name), 1) for name in (SLUICE, LITELLM)}
            edge = {name: _edge(both, name, say) for name in (SLUICE, LITELLM)}
            counters = _counters(redis_url)
    on["load_after"] = load()
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": on,
        "took_s": round(time.monotonic() - began, 1),
        "options": {"rounds": rounds, "seconds": seconds},
        "started_in_s": {SLUICE: served.started_in_s, LITELLM: beside.started_in_s},
        "memory_mib": memory,
        "litellm_counters": counters,
        "edge": {name: {**asdict(each), "ratio": each.ratio} for name, each in edge.items()},
        "cases": measures.summaries(found, CASES),
    }
    read: dict[str, Any] = json.loads(json.dumps(results))
    return read


def _edge(both: Both, name: str, say: measures.Say) -> Edge:
    edge = at_the_edge(both.url(name))
    say(f"at a window's edge {name} admitted {edge.before} before and {edge.after} after it, denied {edge.denied}")
    return edge


def _counters(redis_url: str) -> int:
    """How many keys are LiteLLM's in the Redis that it is to count in, while its last windows last. Without any it has
    counted in its own memory, which would be another contest."""
    with redis.Redis.from_url(redis_url) as client:
        count = sum(SLUICE.encode() not in key for key in client.scan_iter(count=1_000))
    if not count:
        raise ProxyError("LiteLLM's proxy has no key in Redis: it does not count there, as it was configured to")
    return count


if __name__ == "__main__":
    main()
