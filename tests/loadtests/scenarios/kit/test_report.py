import json
from pathlib import Path

import pytest

from loadtests.scenarios.kit.evidence import Evidence
from loadtests.scenarios.kit.outcomes import Outcome
from loadtests.scenarios.kit.promises import Verdict
from loadtests.scenarios.kit.report import forget, judged, show, with_verdicts, write
from loadtests.scenarios.kit.scenario import Run, Scenario
from loadtests.scenarios.kit.tenants import Registration, Tenant


def run(*kept: bool) -> Run:
    verdicts = [Verdict(f"promise {number} <b>", each, "as seen") for number, each in enumerate(kept)]
    promises = tuple(lambda evidence, verdict=verdict: verdict for verdict in verdicts)
    current = Run(Scenario("burst", (Tenant("acme"),), promises, 20.0, phases={"first": (0, 0.5), "last": (0.5, 1)}))
    current.registration = Registration("ab12", "load-quick", {"acme": "sk-secret"})
    return current


EVIDENCE = Evidence(
    (Tenant("acme"),),
    (
        Outcome("acme", "chat", "first", "r1", 0.0, 10.0, status=200, tokens=7),
        Outcome("acme", "stream", "last", "r2", 0.0, 30.0, 20.0, status=200, tokens=7),
        Outcome("acme", "chat", "last", "r3", 0.0, 1.0, status=429, code="rate_limit_exceeded"),
    ),
    phases={"first": 10.0, "last": 10.0},
)


@pytest.mark.parametrize(("kept", "passed"), [((True, True), True), ((True, False), False)])
def test_a_run_passes_if_every_promise_is_kept(kept: tuple[bool, ...], passed: bool) -> None:
    assert judged(run(*kept), EVIDENCE, "http://here", 1).passed == passed


def test_a_run_that_was_not_observed_whole_does_not_pass() -> None:
    evidence = Evidence(EVIDENCE.tenants, EVIDENCE.outcomes, EVIDENCE.phases, troubles=("a worker is missing",))
    assert not judged(run(True), evidence, "http://here", 2).passed


def test_many_troubles_are_counted() -> None:
    evidence = Evidence(EVIDENCE.tenants, EVIDENCE.outcomes, EVIDENCE.phases, troubles=("gone",) * 7)
    assert judged(run(True), evidence, "http://here", 2).verdicts[-1].detail == "gone; gone; gone (and 4 more)"


def test_what_an_earlier_run_left_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    for name in ("burst.html", "burst.json", "burst.server.log", "burst.py", "other.json"):
        (tmp_path / name).touch()
    forget("burst", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["burst.py", "other.json"]
    forget("burst", tmp_path / "not-there")


def test_the_report_in_all_its_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = judged(run(True, False), EVIDENCE, "http://here", 2)
    told = json.loads(write(report, tmp_path / "new").read_text())
    assert told["passed"] is False
    assert told["processes"] == 2
    assert told["tenants"]["acme"]["last"] == {
        "served_per_s": 0.1,
        "results": {"200": 1, "429 rate_limit_exceeded": 1},
        "p50_ms": 30.0,
        "p99_ms": 30.0,
        "first_token_p50_ms": 20.0,
        "first_token_p99_ms": 20.0,
        "tokens": 7,
    }
    show(report)
    shown = capsys.readouterr().out
    assert shown.endswith("FAIL  burst\n")
    assert "PASS  promise 0" in shown
    page = with_verdicts("<html><body><div></div></body></html>", report)
    assert page.startswith("<html><body><section")
    assert "promise 1 &lt;b&gt;" in page
    for text in (json.dumps(told), shown, page):
        assert "sk-secret" not in text


@pytest.mark.parametrize(("at_s", "phase"), [(0, "first"), (9.9, "first"), (10, "last"), (20, "")])
def test_phases_are_shares_of_the_duration(at_s: float, phase: str) -> None:
    assert run().phase(at_s) == phase
