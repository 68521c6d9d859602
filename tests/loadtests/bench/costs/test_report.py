"""Figures told, and held against what must be reached."""

import json
from typing import Any

import pytest

from loadtests.bench.costs import report
from loadtests.bench.costs.live_feed import ALONE, CHAIN, NOBODY, OFF, Round, against
from loadtests.bench.report.spreads import spread_of


@pytest.fixture
def results() -> dict[str, Any]:
    """A run in which whoever watches costs a tenth."""

    def feed(modes: dict[str, Any], base: str) -> dict[str, Any]:
        return against({mode: [Round(90 if modes[mode] else 100, 500, 50, 9, 7)] for mode in modes}, base)

    held = {"processes": 1, "own_mib": 90.0, "share_mib": 100.0}
    whole = {
        "date": "2026-01-01",
        "machine": {"processor": "p", "cores": 2, "load_before": 1, "load_after": 2, "versions": {"Python": "3"}},
        "took_s": 60,
        "options": {"starts": 1, "rounds": 1, "seconds": 1},
        "starts": {"ready_s": spread_of([12]), "ended_s": spread_of([3])},
        "memory": dict.fromkeys(("Ingress", "redis-server", "haproxy", "raylet", "gcs_server"), held),
        "live_feed": {"alone": feed(dict(ALONE), OFF), "chain": feed(dict(CHAIN), NOBODY)},
        "runs": [],
    }
    read: dict[str, Any] = json.loads(json.dumps(whole))
    read["targets"] = [target.as_json() for target in report.targets(read)]
    return read


def test_a_tenth_is_too_much(results: dict[str, Any]) -> None:
    targets = report.targets(results)
    assert [target.figure for target in targets] == [0.9, 1, 0.9, 1]
    assert [target.reached for target in targets] == [False, True, False, True]


def test_the_section_tells_all(results: dict[str, Any]) -> None:
    section = report.section(results)
    assert "ready after 12 s, and has ended 3 s after" in section
    assert "| **an ingress replica** | 1 | 90 | 100 |" in section
    assert "| HAProxy | 1 | 90 | 100 |" in section
    assert "| Ray's own, and `serve run` | 2 | 180 | 200 |" in section
    assert "| all of it | 5 | 450 | 500 |" in section
    assert "Ray's own and `serve run`, in MiB: gcs_server 100, raylet 100." in section
    assert section.count("| 5 viewers | 90 | 0.9 |") == 2
