"""What is kept of runs."""

from pathlib import Path
from typing import Any

import pytest

from loadtests.bench.report import results
from loadtests.bench.report.targets import Target


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    return tmp_path


def kept(code: Path, figure: float, processor: str = "one") -> dict[str, Any]:
    found = {"date": "2026-01-01", "machine": {"processor": processor}, "sizes": {1_000: 1}}
    return results.keep("part", found, [Target("fast", ">=", 1, figure)], [code])


def test_the_last_three_runs_of_the_same_code_on_the_same_processor(folder: Path) -> None:
    code = folder / "code"
    code.mkdir()
    (code / "a.py").write_text("one")
    for figure in (1, 2, 3, 4):
        found = kept(code, figure)
    assert [run["targets"]["fast"] for run in found["runs"]] == [2, 3, 4]
    assert found["targets"] == [{"what": "fast", "sign": ">=", "goal": 1, "figure": 4, "reached": True}]
    assert found["sizes"] == {"1000": 1}
    assert results.read("part") == found

    assert [run["targets"]["fast"] for run in kept(code, 5, "another")["runs"]] == [5]
    kept(code, 6)
    (code / "b.lua").write_text("changed")
    assert [run["targets"]["fast"] for run in kept(code, 7)["runs"]] == [7]


def test_nothing_is_kept_of_what_never_ran(folder: Path) -> None:
    assert results.read("part") == {}
