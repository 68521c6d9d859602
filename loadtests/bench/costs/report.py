"""What was found, as a section of docs/benchmarks.md, and held against what must be reached."""

from typing import Any

from loadtests.bench.costs.live_feed import FIVE, ONE
from loadtests.bench.costs.memory import OURS, SERVES, total
from loadtests.bench.machine import described
from loadtests.bench.report.tables import number, table, told
from loadtests.bench.report.targets import Sign, Target, from_json, targets_table

_ASKED: tuple[tuple[str, str, str, Sign, float], ...] = (
    ("requests/s of the chain with one viewer of the live feed, against none", ONE, "requests_s_ratio", ">=", 0.97),
    ("CPU of its replicas a request, the same", ONE, "cpu_us_ratio", "<=", 1.03),
    ("requests/s with five viewers, against none", FIVE, "requests_s_ratio", ">=", 0.97),
    ("CPU of its replicas a request, the same with five", FIVE, "cpu_us_ratio", "<=", 1.03),
)


def targets(results: dict[str, Any]) -> list[Target]:
    """What the live feed may cost, and what this run found."""
    found = []
    for what, mode, field, sign, goal in _ASKED:
        figure = results["live_feed"]["chain"][mode][field]
        found.append(Target(what, sign, goal, figure["median"], figure["low"], figure["high"]))
    return found


def section(results: dict[str, Any]) -> str:
    """The generated part of the page."""
    measured = results["options"]
    return "\n\n".join(
        [
            f"The last run ({results['date']}): {described(results['machine'])}. {measured['starts']} starts, "
            f"{measured['rounds']} rounds of {measured['seconds']:g} s; it took {results['took_s']:.0f} s.",
            "### What the live feed must reach",
            targets_table([from_json(each) for each in results["targets"]], results["runs"]),
            "### Start and end",
            f"`sluice up` is ready after {told(results['starts']['ready_s'])} s, and has ended "
            f"{told(results['starts']['ended_s'])} s after Ctrl-C.",
            "### Memory",
            _memory(results["memory"]),
            "### The live feed",
            "Through the whole chain, all requests admitted:",
            _feed(results["live_feed"]["chain"]),
            "The ingress alone, without Ray and HAProxy and over models that answer at once, most requests denied: "
            "nothing there hides what the feed adds.",
            _feed(results["live_feed"]["alone"]),
        ]
    )


def _memory(found: dict[str, dict[str, float]]) -> str:
    rows = [_held(f"**{said}**", found[role]) for role, said in OURS.items() if role in found]
    rows += [_held(said, found[role]) for role, said in SERVES.items() if role in found]
    rays = {role: row for role, row in found.items() if role not in OURS and role not in SERVES}
    rows += [_held("Ray's own, and `serve run`", total(rays)), _held("all of it", total(found))]
    said = ", ".join(f"{role} {number(row['share_mib'])}" for role, row in sorted(rays.items()))
    header = ("what", "processes", "MiB of its own", "MiB with its part of what is shared")
    return f"{table(header, rows)}\n\nRay's own and `serve run`, in MiB: {said}."


def _held(said: str, row: dict[str, float]) -> tuple[str, ...]:
    return (said, f"{row['processes']:.0f}", number(row["own_mib"]), number(row["share_mib"]))


def _feed(found: dict[str, Any]) -> str:
    fields = ("requests_s", "requests_s_ratio", "cpu_us", "cpu_us_ratio", "redis_us", "p99_ms", "viewed_kb_s")
    header = (
        "",
        "requests/s",
        "against the first",
        "CPU µs",
        "against the first",
        "Redis' CPU µs",
        "p99 ms",
        "kB/s a viewer",
    )
    return table(header, ((mode, *(told(row[field]) for field in fields)) for mode, row in found.items()))
