"""What was found, as a section of docs/benchmarks.md, and held against what must be reached."""

from typing import Any

from loadtests.bench.chain.cases import OURS, SLUICE
from loadtests.bench.chain.report import case_table
from loadtests.bench.gateway.cases import CASES, EDGE_LIMIT, LITELLM, WINDOW_S
from loadtests.bench.machine import described
from loadtests.bench.report.tables import number, table
from loadtests.bench.report.targets import Target, from_json, targets_table

_GOALS = {"unary": ("requests/s", 8.0), "streamed": ("streams/s", 4.0)}
"""By case: what is counted, and at least how many times LiteLLM's."""


def targets(results: dict[str, Any]) -> list[Target]:
    """What must be reached of what was measured."""
    found = []
    for case, by_clients in results["cases"].items():
        unit, goal = _GOALS[case]
        for clients, measured in by_clients.items():
            ratio = measured["ratios"][SLUICE]["requests_s"]
            of = f"{clients} clients" if clients != "1" else "one client"
            what = f"{unit} at {of}, against LiteLLM's proxy"
            found.append(Target(what, ">=", goal, ratio["median"], ratio["low"], ratio["high"]))
    admitted = results["edge"][SLUICE]["ratio"]
    found.append(Target("admitted / allowed at a window's edge, Sluice", "=", 1, admitted))
    wrong = sum(
        measured["contestants"][SLUICE]["wrong"]
        for by_clients in results["cases"].values()
        for measured in by_clients.values()
    )
    return [*found, Target("Sluice's replies that are not as they should be", "=", 0, wrong)]


def section(results: dict[str, Any]) -> str:
    """The generated part of the page."""
    measured = results["options"]
    started = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in results["started_in_s"].items())
    memory = ", ".join(f"{name} {mib:,.0f} MiB" for name, mib in results["memory_mib"].items())
    parts = [
        f"The last run ({results['date']}): {described(results['machine'])}. {measured['rounds']} rounds for each "
        f"figure; it took {results['took_s']:.0f} s. Ready after: {started}. Memory of the ingress, the router and the "
        f"model beside that of the proxy: {memory}. Keys in Redis at the end that are LiteLLM's: "
        f"{results['litellm_counters']}.",
        "### What it must reach beside LiteLLM",
        targets_table([from_json(each) for each in results["targets"]], results["runs"]),
    ]
    for case in CASES:
        parts += [f"### {case.title}, beside LiteLLM", case_table(case, results["cases"][case.name])]
    return "\n\n".join([*parts, "### At the edge of a window", _edge_table(results["edge"])])


def text(results: dict[str, Any]) -> str:
    """The same for a terminal."""
    return section(results).replace("**", "")


def _edge_table(edge: dict[str, Any]) -> str:
    rows = [
        (
            f"**{name}**" if name in OURS else name,
            str(edge[name]["before"]),
            str(edge[name]["after"]),
            number(edge[name]["ratio"]),
        )
        for name in (SLUICE, LITELLM)
    ]
    header = ("contestant", "admitted before it", "admitted after it", f"of {EDGE_LIMIT} allowed in any {WINDOW_S} s")
    return table(header, rows)
