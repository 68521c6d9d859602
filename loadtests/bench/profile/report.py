"""A profile as a section of docs/benchmarks.md: one table for each number of clients, one column for each replica."""

from statistics import median
from typing import Any

from loadtests.bench.machine import described
from loadtests.bench.report.tables import number, table

LEAST_US = 10
"""What takes less in every replica stands together, as `other`."""


def section(results: dict[str, Any]) -> str:
    """The generated part of the page."""
    told = [f"The last run ({results['date']}): {described(results['machine'])}."]
    for clients, profiles in results["profiles"].items():
        replies = ", ".join(
            f"{name} {profile['replies']:,} (p50 {median(profile['p50_ms']):.2f} ms)"
            for name, profile in profiles.items()
        )
        who = "One client" if clients == "1" else f"{clients} clients"
        told += [f"{who}; CPU µs a reply. Replies: {replies}.", _table(profiles)]
    return "\n\n".join(told)


def _table(profiles: dict[str, Any]) -> str:
    columns = {role: areas for profile in profiles.values() for role, areas in profile["cpu_us"].items()}
    most = {area: max(areas.get(area, 0.0) for areas in columns.values()) for each in columns.values() for area in each}
    shown = sorted((area for area, us in most.items() if us >= LEAST_US), key=lambda area: -most[area])
    rows = [(area, *(_us(areas.get(area, 0.0)) for areas in columns.values())) for area in shown]
    others = [sum(us for area, us in areas.items() if area not in shown) for areas in columns.values()]
    rows += [("other", *map(_us, others))]
    rows += [("**all**", *(f"**{_us(sum(areas.values()))}**" for areas in columns.values()))]
    return table(("", *(f"`{role}`" for role in columns)), rows)


def _us(us: float) -> str:
    return number(round(us)) if us >= 0.5 else ""
