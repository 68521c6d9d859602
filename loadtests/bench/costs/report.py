"""What was found, as a section of docs/benchmarks.md, and held against what must be reached."""

from typing import Any

from loadtests.bench.costs.live_feed import FIVE, ONE
from loadtests.bench.costs.memory import OURS, SERVES, total
from loadtests.bench.machine import described
from loadtests.bench.report.tables import number, table, told
from loadtests.bench.report.targets import Sign, Target, from_json, targets_table

SLUICE, BARE = "sluice", "bare"

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
            f"The last run ({results['date']}): {described(results['machine'])}. {measured['starts']} starts of each, "
            f"{measured['rounds']} rounds of {measured['seconds']:g} s; it took {results['took_s']:.0f} s.",
            "### What the live feed must reach",
            targets_table([from_json(each) for each in results["targets"]], results["runs"]),
            "### Start and end",
            _starts(results["starts"]),
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


def _starts(found: dict[str, Any]) -> str:
    header = ("`sluice up` of", "seconds until ready", "seconds until ended")
    return table(header, ((name, told(row["ready_s"]), told(row["ended_s"])) for name, row in found.items()))


def _memory(found: dict[str, Any]) -> str:
    rows = []
    sluice = found[SLUICE]
    for named in (OURS, SERVES):
        rows += [
            _held(f"**{said}**" if named is OURS else said, sluice[role])
            for role, said in named.items()
            if role in sluice
        ]
    rays = {role: row for role, row in sluice.items() if role not in OURS and role not in SERVES}
    rows.append(_held("Ray's own", total(rays)))
    rows.append(_held("all of it", total(sluice)))
    rows.append(_held("all of a bare Ray Serve application with its ingress and model", total(found[BARE])))
    said = ", ".join(f"{role} {number(row['share_mib'])}" for role, row in sorted(rays.items()))
    header = ("what", "processes", "MiB of its own", "MiB with its part of what is shared")
    return f"{table(header, rows)}\n\nRay's own, in MiB: {said}."


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
