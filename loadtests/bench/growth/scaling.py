"""Writes the generated parts of docs/scaling.md from loadtests/results/growth.json.

python -m loadtests.bench.growth.scaling
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loadtests.bench.growth.arithmetic import (
    FULL,
    RATES,
    WINDOW_S,
    WINDOWS,
    carries,
    costs_of,
    ends,
    needs,
)
from loadtests.bench.machine import described
from loadtests.bench.report.page import write as write_page
from loadtests.bench.report.results import ROOT, read
from loadtests.bench.report.tables import number, table, told
from policies.entities import MAX_SHARDS

PAGE = ROOT / "docs" / "scaling.md"

Results = dict[str, Any]


def _nodes(results: Results) -> str:
    costs = costs_of(results)
    rows = []
    for rate in RATES:
        n = needs(rate, costs)
        cells = str(n.cells) if n.cells == n.cells_waiting else f"{n.cells:,} to {n.cells_waiting:,}"
        memory = f"{n.redis_mb:,} MB" if n.redis_mb < 1_000 else f"{n.redis_mb / 1_000:,.1f} GB"
        rows.append(
            (
                f"{n.rate:,}",
                f"{n.ingresses:,}",
                f"{n.cores:,}",
                f"{n.primaries:,}",
                memory,
                f"{n.redis_mbit_s:,} Mbit/s",
                _parts_of(n.shards),
                cells,
            )
        )
    header = ("requests/s", "ingress replicas", "cores for them", "Redis primaries", "their memory", "their traffic")
    return table((*header, "GLOBAL in parts", "cells"), rows)


def _parts_of(shards: int) -> str:
    if shards > MAX_SHARDS:
        return f"more than {MAX_SHARDS}"
    return f"{shards:,}" if shards > 1 else "whole"


def _carries(results: Results) -> str:
    costs, chain = costs_of(results), results["replicas"]
    rows = [
        (name, number(cost_us), f"{int(1e6 / cost_us):,}", f"{carries(cost_us):,}", unit)
        for name, cost_us, unit in (
            ("an ingress replica, admitted", costs.ingress_us, "requests"),
            ("an ingress replica, denied", costs.denied_us, "requests"),
            ("the proxy before it", costs.proxy_us, "requests"),
            ("the router, a start that had to wait", costs.start_us, "starts"),
            ("the router, a call without news", costs.call_us, "calls"),
            ("one Redis, six windows, acquired and settled", costs.alone_us, "requests"),
            ("the largest Redis Cluster, the same, all primaries together", costs.cluster_us, "requests"),
            ("a primary, one window", costs.window_us, "decisions"),
        )
    ]
    said = table(("what", "CPU µs each", "a core, a second", f"at {FULL:.0%}", "of what"), rows)
    six, denied = chain["six"]["1"], chain["denied"]["1"]
    return (
        f"{said}\n\nMeasured whole, with the client, the models and Redis on the same {results['machine']['cores']} "
        f"cores: {told(six['requests_s'])} requests/s admitted and {told(denied['requests_s'])} denied, by one ingress "
        f"replica and {results['options']['connections']} connections."
    )


def _ends(results: Results) -> str:
    rows = [(f"{rate:,}", what, then) for what, (rate, then) in ends(costs_of(results)).items()]
    return table(("requests/s", "what is full", "what comes then"), rows)


def _primary(results: Results) -> str:
    rows = []
    for windows, ways in results["primary"].items():
        one, many = ways["one at a time"], ways["16 together"]
        figures = (one["script_us"], one["cpu_us"], many["cpu_us"], one["decisions_s"], many["decisions_s"])
        travels = number(one["in_bytes"]["median"] + one["out_bytes"]["median"])
        rows.append((windows, *(told(figure) for figure in figures), travels))
    header = ("windows", "in the script, µs", "CPU µs, one at a time", "CPU µs, 16 together")
    return table((*header, "decisions/s, one at a time", "decisions/s, 16 together", "bytes there and back"), rows)


_LAYOUTS = {
    "whole": "GLOBAL and MODEL_TIER shared by all",
    "split": "GLOBAL in 64 parts, a tier's window for each tenant",
    "own": "every window a tenant's own",
}


def _cluster(results: Results) -> str:
    rows = []
    for layout, sizes in results["cluster"].items():
        alone_us = sizes["one Redis"]["cpu_us"]["median"]
        for size, row in sizes.items():
            figures = (told(row["p50_us"]), number(row["scripts"]["median"]), told(row["cpu_us"]))
            share = row["busiest_share"]["median"]
            more = number(alone_us / (row["cpu_us"]["median"] * share))
            rows.append((_LAYOUTS[layout], size, *figures, f"{share:.0%}", more))
    header = ("layout", "primaries", "p50 µs of acquiring", "script calls a request", "CPU µs a request, all together")
    return table((*header, "share of the busiest", "carries, against one Redis"), rows)


def _shards(results: Results) -> str:
    rows = []
    for case in results["shards"]["cases"]:
        rows.append(
            (
                f"{case['processes']:,}",
                f"{case['shards']}",
                f"{case['limit']:,}",
                f"{case['limit'] / case['shards'] / case['processes']:.3g}",
                f"{case['load']:.0%}",
                "uneven" if case["skewed"] else "even",
                "tokens" if case["tokens"] else "1 each",
                f"{case['lost']['median']:.2%}",
                f"{case['lost']['high']:.2%}",
            )
        )
    header = ("processes", "parts", "limit", "limit / parts / processes", "arrivals", "over processes", "cost")
    choosing = ", ".join(f"{us} µs for {shards} parts" for shards, us in results["shards"]["choosing_us"].items())
    return (
        f"{table((*header, 'fewer admitted', 'at most'), rows)}\n\nThe choice of a part costs the ingress {choosing}."
    )


def _memory(results: Results) -> str:
    most = str(max(map(int, results["bytes"]["sluice"])))
    entries = {"requests": results["bytes"]["sluice"][most], "tokens": results["bytes"]["sluice, tokens"][most]}
    rows = []
    for rate in RATES:
        for unit, each in entries.items():
            told_of = [_size(rate * window_s * each) for window_s in (1, 60, 3_600)]
            rows.append((f"{rate:,}", unit, number(each), *told_of))
    return table(("requests/s", "counted in", "bytes an entry", "window of 1 s", "1 min", "1 h"), rows)


def _size(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{number(count / size)} {unit}"
    return f"{number(count / 1e3)} kB"


def _router(results: Results) -> str:
    rows = []
    for case, ingresses in results["router"].items():
        for count, row in ingresses.items():
            started = [_seen(row[each]) if each in row else "" for each in ("starts_s", "calls_per_start", "start_us")]
            rows.append((case, count, *started, told(row["calls_s"]), _seen(row["call_us"])))
    header = ("", "ingresses", "starts/s", "calls a start", "router's CPU µs a start", "calls/s", "CPU µs a call")
    in_ray = results["router_in_ray"]
    return (
        f"{table(header, rows)}\n\nThe same through Ray, measured on the router's replica with "
        f"{in_ray['ingresses']} ingresses: {told(in_ray['contended']['start_us'])} µs for a start that had to "
        f"wait ({told(in_ray['contended']['starts_s'])} a second), and {told(in_ray['idle']['call_us'])} µs for a "
        f"call in which nothing happens ({told(in_ray['idle']['calls_s'])} a second)."
    )


def _seen(figure: Mapping[str, float]) -> str:
    """The system counts CPU in steps of 10 ms: what takes less in a whole round shows as nothing."""
    return told(figure) if figure["median"] else "too little to tell"


def _machine(results: Results) -> str:
    machine = results["machine"]
    return (
        f"Measured {results['date']}: {described(machine)}. Planned with {FULL:.0%} of a core, {WINDOWS} windows of "
        f"{WINDOW_S} s a request."
    )


PARTS: dict[str, Callable[[Results], str]] = {
    "scaling-nodes": _nodes,
    "scaling-machine": _machine,
    "scaling-carries": _carries,
    "scaling-ends": _ends,
    "scaling-primary": _primary,
    "scaling-cluster": _cluster,
    "scaling-shards": _shards,
    "scaling-memory": _memory,
    "scaling-router": _router,
}
"""By the name of their markers."""


def write(results: Results, page: Path = PAGE) -> None:
    """Fills the page in. Raises `ValueError` where it has no place for a part."""
    write_page(page, {name: make(results) for name, make in PARTS.items()})


def main() -> None:
    write(read("growth"))


if __name__ == "__main__":
    main()
