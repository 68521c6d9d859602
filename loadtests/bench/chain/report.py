"""What was found, as a section of docs/benchmarks.md and a plot, and held against what must be reached."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loadtests.bench.applications import CHUNKS
from loadtests.bench.chain.cases import BARE, CASES, CONSTANT, OURS, PACED, SLUICE, SLUICE_EACH, Case
from loadtests.bench.machine import described
from loadtests.bench.report import bars
from loadtests.bench.report.results import ROOT
from loadtests.bench.report.tables import number, table, told
from loadtests.bench.report.targets import Sign, Target, from_json, targets_table

PLOT = ROOT / "docs" / "chain-benchmark.svg"


def _clients(count: int) -> str:
    return f"{count} clients" if count > 1 else "one client"


_ASKED: tuple[tuple[str, str, int, str, Sign, float], ...] = (
    ("chain p50 at one client, against bare", "unary", 1, "p50_ms", "<=", 1.25),
    ("chain requests/s at 16 clients, against bare", "unary", 16, "requests_s", ">=", 0.8),
    *(
        (f"streamed chunks/s at {_clients(clients)}{how}, against bare", case, clients, "requests_s", ">=", 0.95)
        for case, how, every in (
            ("streamed", "", (1, 16)),
            ("crowded", "", (64,)),
            ("paced", ", a token every 5 ms", (16, 64)),
        )
        for clients in every
    ),
    *(
        (f"denied requests/s at {clients} clients, against a constant", "denied", clients, "requests_s", ">=", 0.7)
        for clients in (16, 64)
    ),
)
"""What must be reached by a ratio: what it is, case, clients, figure, sign, goal."""


def targets(cases: dict[str, Any]) -> list[Target]:
    """What must be reached of what was measured. `cases`: as in the results, with text for keys."""
    found = []
    for what, case, clients, figure, sign, goal in _ASKED:
        if case in cases:
            ratio = cases[case][str(clients)]["ratios"][SLUICE][figure]
            found.append(Target(what, sign, goal, ratio["median"], ratio["low"], ratio["high"]))
    if "denied" in cases:
        runs = [by_clients["contestants"][SLUICE]["by_status"] for by_clients in cases["denied"].values()]
        found.append(Target("admitted of a key that has nothing left", "=", 0, sum(run.get("200", 0) for run in runs)))
    wrong = sum(
        summary["wrong"]
        for by_clients in cases.values()
        for measured in by_clients.values()
        for name, summary in measured["contestants"].items()
        if name in OURS
    )
    for clients, measured in cases.get(PACED, {}).items():
        ratio = measured["ratios"][SLUICE_EACH]["requests_s"]
        what = f"streamed chunks/s at {clients} clients, a token every 5 ms and each alone, against bare"
        found.append(Target(what, ">=", 0.95, ratio["median"], ratio["low"], ratio["high"]))
    found.append(Target("Sluice's replies that are not as they should be", "=", 0, wrong))
    return found


def section(results: dict[str, Any]) -> str:
    """The generated part of the page."""
    measured = results["options"]
    parts = [
        f"The last run ({results['date']}): {described(results['machine'])}. {measured['rounds']} rounds of "
        f"{measured['seconds']:g} s for each figure ({_longer(measured['seconds'])}); "
        f"it took {results['took_s']:.0f} s.",
        "### What the chain must reach",
        targets_table([from_json(each) for each in results["targets"]], results["runs"]),
        "![requests a second of each contestant, by clients](chain-benchmark.svg)",
    ]
    for case in CASES:
        if case.name in results["cases"]:
            parts += [f"### {case.title}", case_table(case, results["cases"][case.name])]
    return "\n\n".join(parts)


def _longer(seconds: float) -> str:
    return ", ".join(f"`{case.name}`: {seconds * case.longer:g} s" for case in CASES if case.longer > 1)


def text(results: dict[str, Any]) -> str:
    """The same for a terminal."""
    return section(results).replace("**", "")


def case_table(case: Case, by_clients: dict[str, Any]) -> str:
    """The figures of every contestant."""
    rate, ratio = f"{_unit(case)}/s", f"against {case.base}"
    header = ("clients", "contestant", rate, ratio, "p50 ms", "p99 ms", f"p50 {ratio}", "CPU µs", "wrong replies")
    return table(header, _case_rows(case, by_clients))


def _case_rows(case: Case, by_clients: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for clients, measured in by_clients.items():
        for name, summary in measured["contestants"].items():
            ratio = measured["ratios"].get(name)
            yield (
                clients,
                f"**{name}**" if name in OURS else name,
                told(_scaled(case, summary["requests_s"])),
                "" if ratio is None else told(ratio["requests_s"]),
                number(summary["p50_ms"]["median"]),
                number(summary["p99_ms"]["median"]),
                "" if ratio is None else told(ratio["p50_ms"]),
                number(summary["cpu_us"]["median"]),
                _wrong(summary),
            )


def _wrong(summary: dict[str, Any]) -> str:
    """How many, and what they were: what is fast because it fails is not fast."""
    if not summary["wrong"]:
        return "0"
    statuses = ", ".join(f"{status}: {count:,}" for status, count in summary["by_status"].items())
    return f"**{summary['wrong']:,}** ({statuses}; broken {summary['errors']}; cut short {summary['cut_short']})"


def _unit(case: Case) -> str:
    return "chunks" if case.stream else "requests"


def _scaled(case: Case, figures: dict[str, float]) -> dict[str, float]:
    return {name: figure * CHUNKS for name, figure in figures.items()} if case.stream else figures


def plot(results: dict[str, Any], path: Path = PLOT) -> None:
    """Requests or chunks a second, a chart for each case."""
    charts = []
    for case in CASES:
        by_clients = results["cases"].get(case.name)
        if by_clients is None:
            continue
        series = {
            _clients(int(clients)): {
                name: _scaled(case, summary["requests_s"])["median"]
                for name, summary in measured["contestants"].items()
            }
            for clients, measured in by_clients.items()
        }
        charts.append(bars.Bars(f"{case.title}: {_unit(case)} a second (more is better)", series))
    bars.write(path, f"Sluice beside {BARE} Ray Serve and {CONSTANT} replies", charts, OURS)
