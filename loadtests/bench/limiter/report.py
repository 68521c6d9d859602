"""What was found, as a section of docs/benchmarks.md and a plot, and held against what must be reached."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loadtests.bench.limiter.contestants import OURS, OURS_TOKENS
from loadtests.bench.machine import described
from loadtests.bench.report import bars
from loadtests.bench.report.results import ROOT
from loadtests.bench.report.tables import number, table
from loadtests.bench.report.targets import Target, from_json, targets_table

PLOT = ROOT / "docs" / "limiter-benchmark.svg"


def targets(results: dict[str, Any]) -> list[Target]:
    """What the limiter must reach, and what this run found. Keys of `results` are text, as in its file."""
    six = results["scopes_6"]
    ratios = six["ratios"]
    found = [
        Target("admitted / allowed, 8 processes on one window", "=", 1, results["over_admission"][OURS]),
        Target("the same with tokens", "=", 1, results["over_admission"][OURS_TOKENS]),
        Target("fullest window / allowed, 8 processes while entries leave it", "=", 1, results["sliding"]),
        Target("Redis round trips of a decision of six windows", "=", 1, six["rows"][OURS]["round_trips"]),
        Target("its p50 against an empty EVALSHA through redis-py", "<=", 1.5, ratios["p50_to_empty_driver"]),
        Target("its p50 against an empty EVALSHA through our store", "<=", 1.5, ratios["p50_to_empty_store"]),
        Target("its decisions/s at 64 against `limits` asyncio", ">=", 8, ratios["decisions_to_limits_asyncio"]),
        Target("Redis commands per request in a flood of denials", "<=", 0.05, results["flood"]["commands_a_request"]),
    ]
    for name, most in ((OURS, 16), (OURS_TOKENS, 24)):
        for size, figure in results["bytes"][name].items():
            found.append(Target(f"bytes per logged request, {name}, at {int(size):,}", "<=", most, figure))
    longest = max(us for calls in results["longest_us"].values() for us in calls.values())
    found.append(Target("server's time for one call at 100,000 entries, ms", "<=", 1, longest / 1000))
    return found


def page(results: dict[str, Any]) -> str:
    """The generated part of the page."""
    parts = [
        f"The last run ({results['date']}): {described(results['machine'])}. It took {results['took_s']:.0f} s.",
        "### What it must reach",
        targets_table([from_json(each) for each in results["targets"]], results["runs"]),
        "### Side by side",
        "![decisions a second at 64 callers, and p50 of one caller, by contestant](limiter-benchmark.svg)",
    ]
    for scopes, said in ((6, "Six windows:"), (1, "One window:")):
        parts += [said, _rows_table(results[f"scopes_{scopes}"]["rows"])]
    parts += [
        "### Over-admission",
        "Eight processes, eight callers each, ask one window of a minute for far more than its limit of 1,000.",
        table(
            ("contestant", "admitted / allowed"),
            ((_bold(name), f"{r:.3f}") for name, r in results["over_admission"].items()),
        ),
        "The same on a window of 0.3 s with a limit of 200, for 3 s, so that entries leave while others come: by the "
        f"server's time of every admission the fullest window held {results['sliding']:.3f} of its limit.",
        "### Floods of denials",
        f"64 callers of one process, six windows, all far over: {results['flood']['commands_a_request']} Redis "
        f"commands per request, {results['flood']['denials_s']:,} denials/s.",
        "### Memory",
        "Bytes per logged request in one window:",
        _bytes_table(results["bytes"]),
        "### The longest call",
        "Microseconds of the server's time for one call on a log of 100,000 entries:",
        *_longest_tables(results["longest_us"]),
    ]
    return "\n\n".join(parts)


def _rows_table(rows: dict[str, dict[str, float]]) -> str:
    fields = ("p50_us", "p99_us", "decisions_s_at_64", "redis_cpu_us", "round_trips")
    header = ("contestant", "p50 µs", "p99 µs", "decisions/s at 64", "Redis CPU µs", "round trips")
    return table(header, ((_bold(name), *(number(row[field]) for field in fields)) for name, row in rows.items()))


def _bytes_table(found: dict[str, dict[int, float]]) -> str:
    sizes = list(next(iter(found.values())))
    header = ("contestant", *(f"{int(size):,} entries" for size in sizes))
    return table(
        header,
        ((_bold(name), *(number(row[size]) if size in row else "" for size in sizes)) for name, row in found.items()),
    )


def _longest_tables(found: dict[str, dict[str, int]]) -> Iterable[str]:
    for label, calls in found.items():
        yield table((f"a log of {label}", "µs"), ((what, f"{us:,}") for what, us in calls.items()))


def _bold(name: str) -> str:
    return f"**{name}**" if name in (OURS, OURS_TOKENS) else name


def plot(results: dict[str, Any], path: Path = PLOT) -> None:
    """Throughput and latency of all contestants."""
    series = (("scopes_1", "one window"), ("scopes_6", "six windows"))
    charts = [
        bars.Bars(
            title,
            {label: {name: row[field] for name, row in results[key]["rows"].items()} for key, label in series},
        )
        for field, title in (
            ("decisions_s_at_64", "Decisions a second at 64 callers (more is better)"),
            ("p50_us", "p50 of one caller, µs (less is better)"),
        )
    ]
    bars.write(
        path, "The limiter beside others: decisions a second at 64 callers, and p50", charts, (OURS, OURS_TOKENS)
    )
