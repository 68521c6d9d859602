"""Results as a run of the growth benchmark leaves them, with figures that are easy to count with."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from loadtests.bench.growth import report
from loadtests.bench.report.spreads import spread_of


def row(**figures: float) -> dict[str, Any]:
    """Of rounds that were all the same."""
    return {name: spread_of([figure]) for name, figure in figures.items()}


def limiter(names: Iterable[str]) -> dict[str, Any]:
    """A row for each; each twice as dear as the one before."""
    return {
        name: {**row(p50_us=100 * 2**n, decisions_s_at_64=8000 / 2**n, redis_cpu_us=10 * 2**n), "p99_us": 300 * 2**n}
        for n, name in enumerate(names)
    }


def http(names: Iterable[str]) -> dict[str, Any]:
    return {name: row(requests_s=1000, p50_ms=10, p99_ms=20, cpu_us=500, redis_us=50) for name in names}


@pytest.fixture
def results() -> dict[str, Any]:
    """An ingress spends 600 µs (a denied request: 300), HAProxy 60, one Redis 100, a Cluster 200, the router 50 for a
    start and 1,000 for a call, and a primary 20 for one window."""
    travels = row(script_us=10, cpu_us=20, decisions_s=9000, in_bytes=150, out_bytes=100)
    chain = row(requests_s=900, p50_ms=10, p99_ms=30, ingress_us=600, model_us=200, router_us=1, proxy_us=60)
    primaries = ("one Redis", "1", "2", "6")
    clusters = {
        layout: {
            size: row(p50_us=1, scripts=4, cpu_us=100 if size == "one Redis" else 200, busiest_share=0.25)
            for size in primaries
        }
        for layout in ("whole", "split", "own")
    }
    called = {"calls_s": 1, "call_us": 1000}
    whole: dict[str, Any] = {
        "date": "2026-01-01",
        "machine": {"processor": "p", "cores": 2, "load_before": 1, "load_after": 2, "versions": {"Python": "3"}},
        "took_s": 600,
        "options": {"rounds": 3, "seconds": 2, "connections": 16},
        "runs": [],
        "limiter": {
            "policies": limiter(("1", "6", "24")),
            "entries": {
                f"{unit}, {outcome}": limiter(("100", "1000"))
                for unit in ("requests", "tokens")
                for outcome in ("denied", "admitted")
            },
        },
        "ingress": {
            "policies": http(("1", "6", "24", "6, denied")),
            "catalogue": http(("10, few in use", "10,000, few in use", "10,000, all in use")),
        },
        "bytes": {"sluice": {"1000": 14.0, "100000": 11.0}, "sluice, tokens": {"1000": 22.0, "100000": 20.0}},
        "primary": {each: {"one at a time": travels, "16 together": travels} for each in ("1", "6", "6, tokens")},
        "cluster": clusters,
        "shards": {
            "cases": [
                {
                    "processes": 16,
                    "shards": 64,
                    "limit": 16_000,
                    "load": 1.5,
                    "skewed": False,
                    "tokens": False,
                    **row(lost=0.01, early=0.02),
                }
            ],
            "choosing_us": {"8": 1.0, "64": 4.0},
        },
        "router": {
            "contended": {"16": row(starts_s=1, start_us=50, calls_per_start=0.5, **called)},
            "idle": {"16": row(**called)},
        },
        "router_in_ray": {
            "ingresses": 64,
            "contended": row(starts_s=900, start_us=50, **called),
            "idle": row(**called),
        },
        "replicas": {
            "six": {"1": chain, "2": chain},
            "denied": {n: {**chain, "ingress_us": spread_of([300])} for n in "12"},
        },
    }
    read: dict[str, Any] = json.loads(json.dumps(whole))
    read["targets"] = [target.as_json() for target in report.targets(read)]
    return read
