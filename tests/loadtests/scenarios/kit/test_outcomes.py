import math

import pytest

from loadtests.scenarios.kit.outcomes import Outcome, by_result, percentile, rate_per_s


def outcome(status: int, code: str | None = None) -> Outcome:
    return Outcome("acme", "chat", "", "r", 0.0, 1.0, status=status, code=code)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([1.0], 0.99, 1.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([float(n) for n in range(1, 101)], 1.0, 100.0),
        ([1.0, 2.0], 0.0, 1.0),
    ],
)
def test_percentiles(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 0.5))


def test_results_and_rates() -> None:
    found = [outcome(200), outcome(200), outcome(429, "queue_full"), outcome(0), outcome(0, "left")]
    assert by_result(found) == {"200": 2, "429 queue_full": 1, "no reply": 1, "no reply left": 1}
    assert rate_per_s(found, 4) == 0.5
    assert math.isnan(rate_per_s(found, 0))


def test_an_outcome_survives_the_way_to_the_master() -> None:
    sent = outcome(429, "queue_full")
    assert Outcome(*list(sent)) == sent
