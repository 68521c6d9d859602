from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.scenarios.kit.logs import Entry, Fullest, LogCopy, SeenDenial, fullest, retry_problem
from loadtests.scenarios.kit.tenants import Limit

LIMIT = Limit("burst", 3, 10)


def entries(*times_ms: int) -> list[Entry]:
    return [Entry(at_ms, ordinal, 1) for ordinal, at_ms in enumerate(times_ms, 1)]


def frame(
    told: Sequence[tuple[int, int, int]], changed: Sequence[tuple[int, int]] = (), **log: object
) -> dict[str, object]:
    return {"window": {"used": len(told)}, "entries": told, "changed": changed, "profile": None, **log}


@pytest.mark.parametrize(
    ("times_ms", "most"),
    [
        ((), 0),
        ((5,), 1),
        ((1, 2, 3), 3),
        ((0, 9_999), 2),
        ((0, 10_000), 1),  # an entry counts while s < t + window
        ((0, 1, 10_000, 10_001), 2),
        ((0, 9_000, 9_500, 10_000, 10_500), 4),  # across an edge at which a fixed window would begin anew
        ((7, 7, 7, 7), 4),
    ],
)
def test_the_fullest_window(times_ms: tuple[int, ...], most: int) -> None:
    assert fullest(entries(*times_ms), 10_000).held == most


def test_one_more_than_the_limit_is_found_wherever_it_is() -> None:
    full = [start + n for start in range(0, 200_000, 10_000) for n in range(3)]
    assert fullest(entries(*full), LIMIT.window_ms).held == 3
    for extra in (0, 57_001, 199_999):
        found = fullest(entries(*sorted([*full, extra])), LIMIT.window_ms)
        assert found.held == 4


def test_what_was_taken_back_counts_for_nothing_and_tokens_for_what_they_are() -> None:
    assert fullest([Entry(1, 1, 400), Entry(2, 2, 0), Entry(3, 3, 250)], 10_000) == Fullest(3, 650)


@given(st.lists(st.integers(0, 60), max_size=30), st.integers(1, 20))
def test_the_fullest_window_by_counting_every_instant(times_ms: list[int], window_ms: int) -> None:
    logged = entries(*sorted(times_ms))
    by_instant = [sum(e.at_ms <= s < e.at_ms + window_ms for e in logged) for s in range(100)]
    assert fullest(logged, window_ms).held == max(by_instant)


def test_a_copy_is_put_together_from_frames() -> None:
    log = LogCopy("crowd", LIMIT)
    log.read(frame([(100, 1, 1), (110, 2, 1)]))
    log.read(frame([(120, 3, 1)], changed=[(2, 0), (99, 0)]))
    log.read(frame([(110, 2, 0), (120, 3, 1)]))  # told again after the connection was lost
    assert log.entries == [Entry(100, 1, 1), Entry(110, 2, 0), Entry(120, 3, 1)]
    assert log.gap() is None
    assert log.most_used == 2


@pytest.mark.parametrize(
    ("told", "gap"),
    [
        ([(100, 2, 1)], "entry 2 follows on 0"),
        ([(100, 1, 1), (120, 3, 1)], "entry 3 follows on 1"),
        ([(100, 1, 1), (120, 1, 1)], "entry 1 follows on 1"),
        ([(100, 1, 1), (10_100, 1, 1), (10_200, 2, 1)], None),  # the log was forgotten meanwhile, and began anew
    ],
)
def test_a_copy_says_what_it_lacks(told: list[tuple[int, int, int]], gap: str | None) -> None:
    log = LogCopy("crowd", LIMIT)
    log.read(frame(told))
    assert log.gap() == gap


def test_a_profile_is_no_copy() -> None:
    log = LogCopy("crowd", LIMIT)
    log.read(frame([], profile={"from_ms": 1, "span_ms": 1, "counts": []}))
    assert log.gap()


@pytest.mark.parametrize(
    ("at_ms", "told_ms", "right"),
    [
        (5_000, 5_000, True),  # the first of three, logged at 0, leaves at 10 s
        (5_000, 5_001, False),
        (5_000, 4_999, False),
        (2_500, 7_500, False),  # there were but two
        (10_500, 500, False),  # likewise: the first has left
    ],
)
def test_a_retry_time_is_compared_with_the_log(at_ms: int, told_ms: int, right: bool) -> None:
    problem = retry_problem(entries(0, 1_000, 3_000), LIMIT, SeenDenial("r", at_ms, "burst", told_ms))
    assert (problem is None) == right


def test_a_retry_time_beside_what_was_taken_back_is_not_judged() -> None:
    logged = [*entries(0, 1_000, 3_000), Entry(3_500, 4, 0)]
    assert retry_problem(logged, LIMIT, SeenDenial("r", 5_000, "burst", 1)) is None
