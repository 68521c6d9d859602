"""What is counted of the router in Ray."""

import pytest

from loadtests.bench.growth.in_ray import row_of

BEFORE = {"at_s": 10.0, "starts": 100, "calls": 20}


def test_cost_of_a_start_and_of_a_call() -> None:
    after = {"at_s": 14.0, "starts": 900, "calls": 220}
    assert row_of(BEFORE, after, 2.0, contended=True) == {
        "busy": 0.5,
        "calls_s": 50,
        "call_us": 10_000,
        "starts_s": 200,
        "start_us": 2_500,
    }
    assert "start_us" not in row_of(BEFORE, {**after, "starts": 100}, 2.0, contended=False)


@pytest.mark.parametrize(("calls", "starts"), [(20, 200), (220, 100)])
def test_nothing_is_no_figure(calls: int, starts: int) -> None:
    with pytest.raises(RuntimeError, match="nothing to measure"):
        row_of(BEFORE, {"at_s": 14.0, "starts": starts, "calls": calls}, 2.0, contended=True)
