"""Figures told, and held against what must be reached."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtests.bench.chain import report
from loadtests.bench.chain.cases import CASES, OURS, SLUICE
from loadtests.bench.chain.measures import Rounds, ratios
from loadtests.bench.wrk import Figures


@pytest.fixture
def results() -> dict[str, Any]:
    """As of a run in which Sluice does half of what the others do, in twice the time."""
    cases: dict[str, Any] = {}
    for case in CASES:
        cases[case.name] = {}
        for clients in case.clients:
            found = {each.name: Rounds(each, clients, case.longer > 1) for each in case.contestants}
            for name, each in found.items():
                rate = 100 if name in OURS else 200
                each.cpu_us = [1000]
                each.figures = [
                    Figures(rate, 1000 / rate, 3000 / rate, {each.contestant.status: 50}, mean_ms=1000 / rate)
                ]
            cases[case.name][clients] = {
                "contestants": {name: each.summary() for name, each in found.items()},
                "ratios": ratios(found, case.base),
            }
    whole = {
        "date": "2026-01-01",
        "machine": {"processor": "p", "cores": 2, "load_before": 1, "load_after": 2, "versions": {"Python": "3"}},
        "took_s": 60,
        "options": {"rounds": 1, "seconds": 1},
        "cases": cases,
        "runs": [],
    }
    read: dict[str, Any] = json.loads(json.dumps(whole))
    read["targets"] = [target.as_json() for target in report.targets(read["cases"])]
    return read


def test_every_row_of_the_design_is_held_against_its_figure(results: dict[str, Any]) -> None:
    targets = {target.what: target for target in report.targets(results["cases"])}
    assert targets["chain p50 at one client, against bare"].figure == 2
    assert targets["chain requests/s at 16 clients, against bare"].figure == 0.5
    assert targets["denied requests/s at 64 clients, against a constant"].figure == 0.5
    assert len([what for what in targets if what.startswith("streamed chunks/s")]) == 7
    assert [what for what, target in targets.items() if target.reached] == [
        "admitted of a key that has nothing left",
        "Sluice's replies that are not as they should be",
    ]


def test_one_request_too_many_or_a_failure_is_seen(results: dict[str, Any]) -> None:
    results["cases"]["denied"]["16"]["contestants"][SLUICE]["by_status"]["200"] = 1
    results["cases"]["unary"]["64"]["contestants"][SLUICE]["wrong"] = 7
    found = {target.what: target for target in report.targets(results["cases"])}
    assert found["admitted of a key that has nothing left"].figure == 1
    assert found["Sluice's replies that are not as they should be"].figure == 7
    assert not any(target.reached for target in found.values())


def test_a_run_of_some_cases_is_told_too(results: dict[str, Any]) -> None:
    results["cases"] = {"denied": results["cases"]["denied"]}
    assert len(report.targets(results["cases"])) == 4
    assert "Whole replies" not in report.section(results)


def test_the_section_tells_rates_ratios_and_what_went_wrong(results: dict[str, Any]) -> None:
    broken = results["cases"]["unary"]["16"]["contestants"][SLUICE]
    broken |= {"wrong": 5, "by_status": {"200": 45, "503": 5}}
    section = report.section(results)
    assert (
        "| 16 | **sluice** | 100 | 0.5 | 10 | 30 | 2 | 1,000 | **5** (200: 45, 503: 5; broken 0; cut short 0) |"
        in section
    )
    assert "| 1 | bare | 200 |  | 5 | 15 |  | 1,000 | 0 |" in section
    assert "| 1 | **sluice** | 6,400 | 0.5 |" in section  # chunks


def test_the_plot_has_a_chart_for_each_case(results: dict[str, Any], tmp_path: Path) -> None:
    report.plot(results, tmp_path / "chain.svg")
    root = ElementTree.parse(tmp_path / "chain.svg").getroot()  # noqa: S314 - our own file
    texts = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sum(text.endswith("a second (more is better)") for text in texts) == len(CASES)
