"""What the gateway part makes of its figures."""

from typing import Any

from loadtests.bench.gateway import report


def _spread(median: float) -> dict[str, float]:
    return {"median": median, "low": median / 2, "high": median * 2}


def _summary(rate: float, wrong: int) -> dict[str, Any]:
    figures = {name: _spread(rate) for name in ("requests_s", "p50_ms", "p99_ms", "cpu_us")}
    return {**figures, "by_status": {"200": 10}, "errors": 0, "cut_short": 0, "wrong": wrong, "sample": ""}


def _results(ratio: float, admitted_after: int, wrong: int = 0) -> dict[str, Any]:
    measured = {
        "contestants": {"sluice": _summary(500, wrong), "litellm": _summary(500 / ratio, 0)},
        "ratios": {"sluice": {name: _spread(ratio) for name in ("requests_s", "p50_ms", "p99_ms", "cpu_us")}},
    }
    edge = {"before": 19, "after": admitted_after, "denied": 40, "ratio": (19 + admitted_after) / 20}
    results = {
        "date": "2020-01-01",
        "machine": {"processor": "A", "cores": 2, "load_before": 0.1, "versions": {"Python": "3"}},
        "took_s": 100.0,
        "options": {"rounds": 5, "seconds": 2.0},
        "started_in_s": {"sluice": 20.0, "litellm": 10.0},
        "memory_mib": {"sluice": 300.0, "litellm": 400.0},
        "litellm_counters": 12,
        "edge": {"sluice": edge, "litellm": {**edge, "after": 20, "ratio": 1.95}},
        "cases": {name: {"1": measured, "16": measured} for name in ("unary", "streamed")},
    }
    return {**results, "targets": [target.as_json() for target in report.targets(results)], "runs": []}


def _missed(results: dict[str, Any]) -> list[str]:
    return [target["what"] for target in results["targets"] if not target["reached"]]


def test_all_is_reached() -> None:
    assert _missed(_results(8, 1)) == []


def test_whole_replies_ask_for_more_than_streams() -> None:
    assert _missed(_results(5, 1)) == [
        "requests/s at one client, against LiteLLM's proxy",
        "requests/s at 16 clients, against LiteLLM's proxy",
    ]


def test_one_over_at_the_edge_is_not_reached() -> None:
    assert _missed(_results(8, 2)) == ["admitted / allowed at a window's edge, Sluice"]


def test_a_wrong_reply_is_not_reached() -> None:
    assert _missed(_results(8, 1, wrong=1)) == ["Sluice's replies that are not as they should be"]


def test_the_section_shows_both() -> None:
    section = report.section(_results(8, 1))
    assert "| litellm | 19 | 20 | 1.95 |" in section
    assert "| **sluice** | 19 | 1 | 1 |" in section
    assert "sluice 300 MiB, litellm 400 MiB" in section
