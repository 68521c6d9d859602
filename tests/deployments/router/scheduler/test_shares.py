from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.router.scheduler import BandSettings, QosSettings
from deployments.router.scheduler.shares import whole_slots


def of(*shares: tuple[float, float]) -> list[BandSettings]:
    return [BandSettings(name=f"b{at}", reserve=reserve, cap=cap) for at, (reserve, cap) in enumerate(shares)]


@pytest.mark.parametrize(
    ("shares", "capacity", "slots"),
    [
        ([(0.5, 1.0), (0.25, 0.5)], 64, [(32, 64), (16, 32)]),
        ([(0.07, 0.07)], 100, [(7, 7)]),  # 0.07 * 100 is a little more than 7 in floats
        ([(0.29, 1.0)], 100, [(29, 100)]),  # and 0.29 * 100 a little less than 29
        ([(0.0, 0.95)], 64, [(0, 61)]),  # caps are rounded up
        ([(0.9, 1.0), (0.05, 1.0)], 10, [(9, 10), (1, 10)]),  # what is left over makes a small reserve whole
        ([(0.5, 1.0), (0.3, 1.0), (0.2, 0.2)], 2, [(1, 2), (1, 2), (0, 1)]),  # highest first, while there is one left
        ([(0.0, 0.01)], 8, [(0, 1)]),  # a band can always use one slot
        ([(0.4, 1.0), (0.4, 0.5)], 0, [(0, 0), (0, 0)]),
    ],
)
def test_shares_become_slots(shares: list[tuple[float, float]], capacity: int, slots: list[tuple[int, int]]) -> None:
    assert whole_slots(of(*shares), capacity) == slots


@given(st.lists(st.integers(0, 100), min_size=1, max_size=6), st.integers(0, 300))
def test_reserves_fit_in_the_pool_and_under_their_caps(parts: list[int], capacity: int) -> None:
    reserves = [part / max(100, sum(parts)) for part in parts]
    settings = QosSettings(bands=tuple(of(*((reserve, max(reserve, 0.01)) for reserve in reserves))))
    slots = whole_slots(settings.bands, capacity)
    assert sum(reserve for reserve, _ in slots) <= capacity
    for share, (reserve, cap) in zip(reserves, slots, strict=True):
        assert Fraction(share) * capacity - 1 < reserve  # never a whole slot less than the share
        assert reserve <= cap <= capacity
        assert cap >= 1 or capacity == 0
