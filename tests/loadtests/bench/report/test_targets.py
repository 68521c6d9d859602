"""What must be reached, and whether it was."""

import pytest

from loadtests.bench.report.targets import Sign, Target, from_json, targets_table


@pytest.mark.parametrize(
    ("sign", "goal", "figure", "reached"),
    [
        ("=", 0, 0, True),
        ("=", 0, 1, False),
        ("<=", 1.25, 1.25, True),
        ("<=", 1.25, 1.26, False),
        (">=", 0.8, 0.8, True),
        (">=", 0.8, 0.79, False),
    ],
)
def test_reached(sign: Sign, goal: float, figure: float, reached: bool) -> None:
    target = Target("x", sign, goal, figure)
    assert target.reached is reached
    assert target.as_json()["reached"] is reached


def test_it_comes_back_from_its_file_as_it_was() -> None:
    for target in (Target("x", ">=", 0.8, 0.9, 0.85, 0.95), Target("x", "=", 0, 0)):
        assert from_json(target.as_json()) == target


def test_the_table_says_what_is_missed_and_what_earlier_runs_found() -> None:
    reached, missed = Target("fast", ">=", 0.8, 0.9, 0.85, 0.95), Target("wrong", "=", 0, 3)
    runs = [{"targets": {"fast": 0.7}}, {"targets": {"fast": 0.9, "wrong": 3}}]
    assert targets_table([reached, missed], runs).splitlines()[2:] == [
        "| fast | >= 0.8 | 0.9 (0.85 to 0.95) | reached | 0.7, 0.9 |",
        "| wrong | = 0 | 3 | **not reached** | 3 |",
    ]
