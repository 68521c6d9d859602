"""The table of a run: printed, kept as JSON under tests/drills/results/, and written into docs/drills.md."""

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from tests.drills.kit.drill import Result
from tests.integration.conftest import ROOT

PAGE = ROOT / "docs" / "drills.md"
RESULTS = ROOT / "tests" / "drills" / "results"
BEGIN, END = "<!-- drills: begin -->", "<!-- drills: end -->"


def table(results: Sequence[Result]) -> str:
    """As Markdown."""
    rows = [
        "| drill | fault | what clients saw | took, s | recovered, s | over | left | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [_row(result) for result in results]
    return "\n".join(rows)


def _row(result: Result) -> str:
    seen = ", ".join(f"{count} × {what}" for what, count in result.seen.most_common())
    told = "; ".join(filter(None, (seen, *result.notes)))
    if result.skipped:
        return f"| {result.name} | {result.fault} | skipped: {_flat(result.skipped)} | | | | | |"
    recovered = "" if result.recovered_s is None else f"{result.recovered_s:.1f}"
    outcome = "passed" if not result.problems else "failed: " + _flat("; ".join(result.problems))
    cells = (
        result.name,
        result.fault,
        _flat(told),
        f"{result.took_s:.0f}",
        recovered,
        *("" if count is None else count for count in (result.over, result.left)),
        outcome,
    )
    return f"| {' | '.join(map(str, cells))} |"


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")


def keep(results: Sequence[Result], took_s: float) -> Path:
    """Writes the JSON; returns where."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    told = {"machine": machine(), "took_s": round(took_s, 1), "drills": [vars(result) for result in results]}
    path.write_text(json.dumps(told, indent=2) + "\n")
    return path


def machine() -> str:
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{os.cpu_count()} cores, Linux {kernel}, Python {platform.python_version()}"


def publish(results: Sequence[Result], took_s: float) -> None:
    """Between the markers of the page, whatever it showed."""
    text = PAGE.read_text()
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    day = time.strftime("%Y-%m-%d")
    failed = sum(bool(result.problems) for result in results)
    skipped = sum(bool(result.skipped) for result in results)
    outcome = (f"{failed} failed" if failed else "none failed") + (f", {skipped} skipped" if skipped else "")
    told = f"{day}, {machine()}; {len(results)} drills in {took_s / 60:.1f} minutes, {outcome}.\n\n{table(results)}"
    PAGE.write_text(f"{head}{BEGIN}\n{told}\n{END}{tail}")
