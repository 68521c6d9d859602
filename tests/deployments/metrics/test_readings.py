"""Counted values as series: buckets as Prometheus has them, and no more names than may be."""

import pytest
from pydantic import ValidationError

from deployments.metrics.definitions import CHECK, OTHER, QUEUE, QUEUE_WAIT
from deployments.metrics.readings import Names, Reading, histogram, reading, times
from policies import RateLimitPolicy
from policies.counts import EDGES_S, Times


@pytest.mark.parametrize(
    ("time_s", "le"),
    [(0.0, "0.00025"), (0.001, "0.001"), (0.0010001, "0.0025"), (300.0, "300"), (301.0, "+Inf")],
)
def test_a_time_is_in_the_first_bucket_that_does_not_end_before_it(time_s: float, le: str) -> None:
    counted = Times()
    counted.add(time_s)
    told = [dict(each.labels)["le"] for each in times(CHECK, (), counted) if each.name.endswith("_bucket")]
    assert told[0] == le


def test_a_bucket_holds_all_that_is_shorter() -> None:
    counted = Times()
    for time_s in (0.0001, 0.0004, 0.0004, 1_000.0):
        counted.add(time_s)
    told = {(each.name, dict(each.labels).get("le")): each.value for each in times(CHECK, (), counted)}
    assert told["sluice_check_seconds_bucket", "0.00025"] == 1
    assert told["sluice_check_seconds_bucket", "0.0005"] == 3
    assert told["sluice_check_seconds_bucket", "300"] == 3
    assert told["sluice_check_seconds_bucket", "+Inf"] == 4
    assert told["sluice_check_seconds_count", None] == 4
    assert told["sluice_check_seconds_sum", None] == pytest.approx(1_000.0009)
    assert len(told) == len(EDGES_S) + 3


def test_other_edges_and_labels() -> None:
    told = list(histogram(QUEUE_WAIT, ("small", "premium"), (0.0, 0.5), (0, 2, 1), 3.5))
    whose = (("pool", "small"), ("band", "premium"))
    assert told == [
        Reading("sluice_queue_wait_seconds_bucket", False, (*whose, ("le", "0.5")), 2),
        Reading("sluice_queue_wait_seconds_bucket", False, (*whose, ("le", "+Inf")), 3),
        Reading("sluice_queue_wait_seconds_count", False, whose, 3),
        Reading("sluice_queue_wait_seconds_sum", False, whose, 3.5),
    ]


def test_a_gauge_is_known_as_one() -> None:
    assert reading(QUEUE, ("small", "batch"), 3) == Reading(
        "sluice_queue_requests", True, (("pool", "small"), ("band", "batch")), 3
    )


def test_labels_are_complete() -> None:
    with pytest.raises(ValueError, match="shorter"):
        reading(QUEUE, ("small",), 3)


def test_names_beyond_the_most_are_one() -> None:
    names = Names(2)
    assert [names.of(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER, "a", OTHER]


def test_nothing_can_have_the_name_of_what_is_counted_together() -> None:
    """A policy of that name would raise the alert that there are too many names."""
    with pytest.raises(ValidationError, match="name"):
        RateLimitPolicy(name=OTHER, scope="GLOBAL", limit=1, window="1s")
