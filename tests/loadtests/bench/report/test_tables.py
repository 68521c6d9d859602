"""Figures as they stand in tables."""

import pytest

from loadtests.bench.report.tables import number, spread, table, told


@pytest.mark.parametrize(
    ("figure", "written"),
    [
        (0, "0"),
        (0.0247, "0.0247"),
        (0.54721, "0.5472"),
        (1, "1"),
        (1.2345, "1.23"),
        (58.84, "58.8"),
        (345.6, "346"),
        (12345.6, "12,346"),
    ],
)
def test_number(figure: float, written: str) -> None:
    assert number(figure) == written


def test_spread() -> None:
    assert spread(1.5, 1.5) == "1.5"
    assert spread(0.8, 1.25) == "0.8 to 1.25"


def test_table() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n|---|---|\n| 1 | 2 |"


def test_told() -> None:
    assert told({"median": 12, "low": 11, "high": 14}) == "12 (11 to 14)"
    assert told({"median": 12, "low": 12, "high": 12}) == "12"
