"""Medians with their spread."""

from loadtests.bench.report.spreads import ratio, spread_of, spreads


def test_over_the_rounds() -> None:
    assert spread_of([3, 1, 2.0000001]) == {"median": 2, "low": 1, "high": 3}
    assert spreads([{"a": 1, "b": 2}, {"a": 3, "b": 2}]) == {
        "a": {"median": 2, "low": 1, "high": 3},
        "b": {"median": 2, "low": 2, "high": 2},
    }


def test_ratios_are_of_the_same_round() -> None:
    ours, base = [{"a": 2.0}, {"a": 30.0}], [{"a": 1.0}, {"a": 10.0}]
    assert ratio(ours, base, "a") == {"median": 2.5, "low": 2, "high": 3}
