"""What was found, as a section of docs/benchmarks.md and a plot, and held against what must be reached."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loadtests.bench.machine import described
from loadtests.bench.report import bars
from loadtests.bench.report.results import ROOT
from loadtests.bench.report.tables import number, table, told
from loadtests.bench.report.targets import Target, from_json, targets_table

PLOT = ROOT / "docs" / "growth-benchmark.svg"
Rows = Mapping[str, Mapping[str, Any]]
"""Figures by what grows."""


def targets(results: dict[str, Any]) -> list[Target]:
    """What must stay as it is when something grows, and what this run found: medians against medians."""
    entries, catalogue = results["limiter"]["entries"], results["ingress"]["catalogue"]
    few = [rows for name, rows in catalogue.items() if name.endswith("few in use")]
    found = []
    for name in ("requests, admitted", "tokens, admitted"):
        sizes = list(entries[name])
        ratio = _against(entries[name], "redis_cpu_us")
        what = (
            f"Redis' CPU of a decision at {int(sizes[-1]):,} entries in the log against the least of all sizes, {name}"
        )
        found.append(Target(what, "<=", 1.5, ratio))
    keys = list(catalogue)[-1].partition(" ")[0].strip(",")
    ratio = round(few[-1]["requests_s"]["median"] / few[0]["requests_s"]["median"], 4)
    found.append(
        Target(f"requests/s of an ingress with {keys} keys against 10, as many of them in use", ">=", 0.9, ratio)
    )
    return found


def _against(rows: Rows, field: str) -> float:
    """The largest against whichever costs least: in a small log of a long window entries are so far apart that each
    decision does what a large one does once in many.
    """
    figures = [row[field]["median"] for row in rows.values()]
    return round(float(figures[-1] / min(figures)), 4)


def section(results: dict[str, Any]) -> str:
    """The generated part of docs/benchmarks.md."""
    measured = results["options"]
    limiter, ingress = results["limiter"], results["ingress"]
    parts = [
        f"The last run ({results['date']}): {described(results['machine'])}. {measured['rounds']} rounds of "
        f"{measured['seconds']:g} s for each figure over HTTP; it took {results['took_s']:.0f} s.",
        "### What must not grow",
        targets_table([from_json(each) for each in results["targets"]], results["runs"]),
        "![requests or decisions a second, and p99, by what grows](growth-benchmark.svg)",
        "### Policies",
        f"One ingress alone, {measured['connections']} connections, by how many policies apply to every request:",
        _http("policies", ingress["policies"]),
        "The limiter without HTTP, by how many windows a request is charged to:",
        _limiter("windows", limiter["policies"]),
        "### Keys in the catalogue",
        "One ingress alone, six policies. Few in use: ten keys send all requests. All in use: each request is of a key "
        "at random, so that with more keys than an ingress remembers, it asks Redis for most of them.",
        _http("keys", ingress["catalogue"]),
        "### Entries in a log",
        "One window, under a steered clock. Admitted: for each entry that enters another leaves. Denied: the window is "
        "full.",
    ]
    for name, rows in limiter["entries"].items():
        parts += [f"Counted in {name}:", _limiter("entries", {f"{int(size):,}": row for size, row in rows.items()})]
    parts += [
        "### Ingress replicas",
        f"The whole chain in Ray Serve behind HAProxy, six policies, {measured['connections']} connections. The "
        f"client, Redis, the models and HAProxy share the same {results['machine']['cores']} cores, so a second "
        "replica finds what they leave; what each spends for a request is what [scaling.md](scaling.md) counts with.",
        _replicas(results["replicas"]),
    ]
    return "\n\n".join(parts)


def _http(what: str, rows: Rows) -> str:
    fields = ("requests_s", "p50_ms", "p99_ms", "cpu_us", "redis_us")
    header = (what, "requests/s", "p50 ms", "p99 ms", "its CPU µs", "Redis' CPU µs")
    return table(header, ((name, *(told(row[field]) for field in fields)) for name, row in rows.items()))


def _limiter(what: str, rows: Rows) -> str:
    header = (what, "p50 µs", "p99 µs", "decisions/s at 64 callers", "Redis' CPU µs")
    return table(
        header,
        (
            (
                name,
                told(row["p50_us"]),
                number(row["p99_us"]),
                told(row["decisions_s_at_64"]),
                told(row["redis_cpu_us"]),
            )
            for name, row in rows.items()
        ),
    )


def _replicas(found: Mapping[str, Rows]) -> str:
    fields = ("requests_s", "p50_ms", "p99_ms", "ingress_us", "model_us", "router_us", "proxy_us")
    header = ("", "replicas", "requests/s", "p50 ms", "p99 ms", "CPU µs: ingress", "model", "router", "HAProxy")
    said = {"six": "admitted", "denied": "denied"}
    rows = (
        (said[case], replicas, *(told(row[field]) for field in fields))
        for case, by_replicas in found.items()
        for replicas, row in by_replicas.items()
    )
    return table(header, rows)


def plot(results: dict[str, Any], path: Path = PLOT) -> None:
    """Throughput and p99 by each of what grows."""
    charts = list(_charts(results))
    names = {name for chart in charts for figures in chart.series.values() for name in figures}
    bars.write(
        path, "Throughput and p99 by policies, keys, entries in the log, ingress replicas", charts, sorted(names)
    )


def _charts(results: dict[str, Any]) -> Iterable[bars.Bars]:
    limiter, ingress = results["limiter"], results["ingress"]
    http, library = ("requests_s", "p99_ms"), ("decisions_s_at_64", "p99_us")
    grown: tuple[tuple[str, tuple[str, str], dict[str, Rows]], ...] = (
        ("policies, one ingress alone", http, {"": _named(ingress["policies"], "policies")}),
        ("keys in the catalogue, one ingress alone", http, {"": _named(ingress["catalogue"], "")}),
        (
            "entries in the log, the limiter alone",
            library,
            {
                name: _named({f"{int(size):,}": row for size, row in rows.items()}, "entries")
                for name, rows in limiter["entries"].items()
                if name.endswith("admitted")
            },
        ),
        ("ingress replicas, whole chain", http, {"": _named(results["replicas"]["six"], "replicas")}),
    )
    for title, (rate, p99), series in grown:
        told_of = "Requests/s" if rate == "requests_s" else "Decisions/s"
        unit = "ms" if p99 == "p99_ms" else "µs"
        yield bars.Bars(f"{told_of} by {title} (more is better)", _picked(series, rate))
        yield bars.Bars(f"p99, {unit}, by {title} (less is better)", _picked(series, p99))


def _named(rows: Rows, unit: str) -> Rows:
    return {f"{name} {unit}".strip(): row for name, row in rows.items()}


def _picked(series: Mapping[str, Rows], field: str) -> dict[str, dict[str, float]]:
    return {
        label: {
            name: row[field]["median"] if isinstance(row[field], dict) else row[field] for name, row in rows.items()
        }
        for label, rows in series.items()
    }
