"""The report of a run: on the terminal, as JSON, and at the head of Locust's HTML."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.scenarios.kit.evidence import Evidence
from loadtests.scenarios.kit.outcomes import Outcome, by_result, percentile, rate_per_s
from loadtests.scenarios.kit.promises import Verdict
from loadtests.scenarios.kit.scenario import Run

KINDS = (".html", ".json", ".server.log")
"""What a run may leave in the folder of reports, under its scenario's name."""


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    scenario: str
    date: str
    host: str
    model: str
    duration_s: float
    processes: int
    """That sent the load."""
    verdicts: Sequence[Verdict]
    tenants: Mapping[str, Mapping[str, Any]]
    """Figures for each, in every phase."""

    @property
    def passed(self) -> bool:
        return all(each.kept for each in self.verdicts)


def judged(run: Run, evidence: Evidence, host: str, processes: int) -> Report:
    """Asks every promise, and whether the measuring itself can be trusted."""
    verdicts = [promise(evidence) for promise in run.scenario.promises]
    if evidence.troubles:
        more = len(evidence.troubles) - 3
        told = "; ".join(evidence.troubles[:3]) + (f" (and {more} more)" if more > 0 else "")
        verdicts.append(Verdict("the run was observed whole", False, told))
    tenants = {
        tenant.name: {
            phase or "all": figures(evidence.of(tenant.name, phase=phase or None), seconds)
            for phase, seconds in evidence.phases.items()
        }
        for tenant in evidence.tenants
    }
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(run.scenario.name, date, host, run.registration.model, run.duration_s, processes, verdicts, tenants)


def figures(outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """Of some outcomes within so many seconds. What is not known is null."""
    served = [each for each in outcomes if each.admitted]
    first_ms = [each.first_ms for each in served if each.first_ms is not None]
    return {
        "served_per_s": _number(rate_per_s(served, seconds), 2),
        "results": by_result(outcomes),
        "p50_ms": _number(percentile([each.took_ms for each in served], 0.5)),
        "p99_ms": _number(percentile([each.took_ms for each in served], 0.99)),
        "first_token_p50_ms": _number(percentile(first_ms, 0.5)),
        "first_token_p99_ms": _number(percentile(first_ms, 0.99)),
        "tokens": sum(each.tokens for each in served),
    }


def _number(value: float, digits: int = 1) -> float | None:
    return None if math.isnan(value) else round(value, digits)


def forget(scenario: str, folder: Path) -> None:
    """Takes away what an earlier run left, so that nobody takes it for this one's."""
    for kind in KINDS:
        (folder / f"{scenario}{kind}").unlink(missing_ok=True)


def write(report: Report, folder: Path) -> Path:
    """As JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.scenario}.json"
    path.write_text(json.dumps({"passed": report.passed, **asdict(report)}, indent=2) + "\n")
    return path


def show(report: Report) -> None:
    """On the terminal: figures, then the verdicts, then PASS or FAIL."""
    print(f"\n{report.scenario} at {report.host}, model {report.model}, {report.duration_s:g} s")
    for tenant, phases in report.tenants.items():
        for phase, each in phases.items():
            results = ", ".join(f"{count} x {result}" for result, count in each["results"].items()) or "nothing"
            first = f", first token {each['first_token_p99_ms']} ms" if each["first_token_p99_ms"] is not None else ""
            print(f"  {tenant:10} {phase:8} {each['served_per_s']:>7}/s  p99 {each['p99_ms']} ms{first}  {results}")
    for verdict in report.verdicts:
        print(f"  {'PASS' if verdict.kept else 'FAIL'}  {verdict.promise}: {verdict.detail}")
    print(f"{'PASS' if report.passed else 'FAIL'}  {report.scenario}", flush=True)


def with_verdicts(page: str, report: Report) -> str:
    """Locust's page with what was promised at its head."""
    rows = "".join(
        f"<tr><td><b>{'PASS' if each.kept else 'FAIL'}</b></td><td>{html.escape(each.promise)}</td>"
        f"<td>{html.escape(each.detail)}</td></tr>"
        for each in report.verdicts
    )
    title = f"{'PASS' if report.passed else 'FAIL'} {html.escape(report.scenario)}"
    section = (
        "<section style='font-family: sans-serif; padding: 1em; background: #fff; color: #111'>"
        f"<h1>{title}</h1><p>{html.escape(report.host)}, {report.date}</p>"
        f"<table cellpadding='6'>{rows}</table></section>"
    )
    return page.replace("<body>", "<body>" + section, 1)
