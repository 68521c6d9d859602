"""Results of a part in `loadtests/results/<part>.json`: figures of the last run, and the last runs of the same code."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from loadtests.bench.report.targets import Target

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "loadtests" / "results"
KEPT_RUNS = 3


def results_path(part: str) -> Path:
    """Where a part's results are."""
    return RESULTS / f"{part}.json"


def keep(part: str, results: dict[str, Any], targets: Sequence[Target], measured: Iterable[Path]) -> dict[str, Any]:
    """Writes the results with their targets, and with the last runs beside this one: those on the same processor while
    `measured`, files and folders, held the same. Returns them as whoever reads the file has them: keys are text."""
    same = {"code": digest(measured), "processor": results["machine"]["processor"]}
    this_run = {**same, "date": results["date"], "targets": {target.what: target.figure for target in targets}}
    whole = {
        **results,
        "targets": [target.as_json() for target in targets],
        "runs": [*earlier_runs(part, same), this_run],
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    results_path(part).write_text(json.dumps(whole, indent=2) + "\n")
    return read(part)


def read(part: str) -> dict[str, Any]:
    """What is kept of a part; empty where it has not run here."""
    try:
        found: dict[str, Any] = json.loads(results_path(part).read_text())
    except (OSError, ValueError):
        return {}
    return found


def earlier_runs(part: str, same: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that this run may be put beside."""
    runs = read(part).get("runs", [])
    return [run for run in runs if all(run.get(field) == value for field, value in same.items())][1 - KEPT_RUNS :]


def digest(measured: Iterable[Path]) -> str:
    """Of the content of these files, and of all Python and Lua below these folders."""
    files: list[Path] = []
    for path in measured:
        files += sorted([*path.rglob("*.py"), *path.rglob("*.lua")]) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
