"""What only Ray Serve shows: the whole chain by its ingress replicas, and the router when Ray carries its calls."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil

from loadtests.bench.applications import ROOMY, SPENT, Entry, body, crowd, headers, sluice
from loadtests.bench.report.spreads import spread_of, spreads
from loadtests.bench.serving import Served
from loadtests.bench.wrk import drive

CONNECTIONS = 16
REPLICAS = (1, 2)
INGRESSES, SLOTS, CALLERS, HOLD_S = 64, 64, 256, 0.005
"""Of the router: so many ingresses; contended, so many callers over all of them want so many slots, each for so
long."""
WARM_S = 2.0
SETTLING_S = 6.0
"""A router that has just started grants nothing for a while."""

CASES = {"six": (ROOMY, 200), "denied": (SPENT, 429)}
"""A tenant, and the status of its replies: six windows that have room; the same, of which one is full."""

Say = Callable[[str], None]


def applications(redis_url: str) -> list[Entry]:
    """All that is measured here, in one Ray Serve."""
    return [*(sluice(redis_url, name=_name(n), ingresses=n) for n in REPLICAS), crowd(SLOTS)]


def _name(replicas: int) -> str:
    return f"sluice{replicas}"


def by_replicas(served: Served, rounds: int, seconds: float, say: Say) -> dict[str, dict[str, Any]]:
    """By case and number of ingress replicas: throughput, latency, and whose CPU each request takes."""
    spenders = {
        replicas: {
            "ingress": served.replicas(_name(replicas), "Ingress"),
            "model": served.replicas(_name(replicas), "model-"),
            "router": served.replicas(_name(replicas), "ModelRouter"),
            "proxy": [each for each in served.processes() if each.name() == "haproxy"],
        }
        for replicas in REPLICAS
    }
    turns = [(case, replicas) for case in CASES for replicas in REPLICAS]
    for case, replicas in turns:
        _load(served, case, replicas, 1, enforced=False)
    found: dict[tuple[str, int], list[dict[str, float]]] = {turn: [] for turn in turns}
    for number in range(rounds):
        for case, replicas in turns[:: 1 if number % 2 == 0 else -1]:
            of = spenders[replicas]
            before = {name: _cpu_s(processes) for name, processes in of.items()}
            figures = _load(served, case, replicas, seconds)
            count = sum(figures.by_status.values())
            spent = {f"{name}_us": (_cpu_s(processes) - before[name]) / count * 1e6 for name, processes in of.items()}
            row = {"requests_s": figures.requests_s, "p50_ms": figures.p50_ms, "p99_ms": figures.p99_ms, **spent}
            found[case, replicas].append(row)
            say(f"{number + 1}/{rounds} {case}, {replicas} ingress replicas: {figures.requests_s:.0f} requests/s")
    return {case: {str(n): spreads(found[case, n]) for n in REPLICAS} for case in CASES}


def _load(served: Served, case: str, replicas: int, seconds: float, *, enforced: bool = True) -> Any:
    tenant, status = CASES[case]
    url = served.url(_name(replicas))
    figures = drive(url, body(), headers(tenant), connections=CONNECTIONS, duration_s=seconds)
    if enforced and figures.wrong(status):
        raise RuntimeError(f"{case}, {replicas} ingress replicas: not all replies are {status}: {figures}")
    return figures


def router(served: Served, rounds: int, seconds: float, say: Say) -> dict[str, Any]:
    """Its CPU for a start that had to wait, and for each call of ingresses that want nothing."""
    processes = served.replicas("crowd", "ModelRouter")
    found: dict[str, list[dict[str, float]]] = {"contended": [], "idle": []}
    with httpx.Client(base_url=served.url("crowd", ""), timeout=30) as client:
        for number in range(rounds):
            for case, callers in (("contended", CALLERS), ("idle", 0)):
                asked = {"ingresses": INGRESSES, "callers": callers, "hold_s": HOLD_S}
                client.post("/begin", params=asked).raise_for_status()
                time.sleep(WARM_S if number or case == "idle" else SETTLING_S)
                before, cpu_s = client.get("/counts").raise_for_status().json(), _cpu_s(processes)
                time.sleep(seconds)
                after, cpu_s = client.get("/counts").raise_for_status().json(), _cpu_s(processes) - cpu_s
                found[case].append(row_of(before, after, cpu_s, contended=callers > 0))
                say(f"{number + 1}/{rounds} the router, {case}: {found[case][-1]}")
        client.post("/end").raise_for_status()
    return {
        "ingresses": INGRESSES,
        **{case: {field: spread_of(each[field] for each in rows) for field in rows[0]} for case, rows in found.items()},
    }


def row_of(before: dict[str, float], after: dict[str, float], cpu_s: float, *, contended: bool) -> dict[str, float]:
    """Figures of what was counted in between. Raises where that was nothing."""
    elapsed_s, starts, calls = (after[name] - before[name] for name in ("at_s", "starts", "calls"))
    if not calls or (contended and not starts):
        raise RuntimeError(f"{calls} calls to the router and {starts} starts in {elapsed_s:.1f} s: nothing to measure")
    row = {"busy": cpu_s / elapsed_s, "calls_s": calls / elapsed_s, "call_us": cpu_s / calls * 1e6}
    if contended:
        row |= {"starts_s": starts / elapsed_s, "start_us": cpu_s / starts * 1e6}
    return row


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)
