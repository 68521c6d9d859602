import pytest

from deployments.router.scheduler.drain import MEMORY_S, HoldingTime, StartShares


def test_the_rate_is_not_known_before_a_request_has_ended() -> None:
    holding = HoldingTime()
    assert holding.drain_per_s(8) is None
    holding.observe(2.0)
    assert holding.drain_per_s(8) == pytest.approx(4.0)
    assert holding.drain_per_s(0) is None


def test_the_first_holding_times_count_alike() -> None:
    holding = HoldingTime()
    for held_s in (1.0, 2.0, 6.0):
        holding.observe(held_s)
    assert holding.drain_per_s(3) == pytest.approx(1.0)


def test_the_mean_follows_a_change() -> None:
    holding = HoldingTime()
    for _ in range(1_000):
        holding.observe(1.0)
    for _ in range(100):
        holding.observe(4.0)
    assert holding.drain_per_s(4) == pytest.approx(1.0, rel=0.01)


def test_shares_of_starts_fade() -> None:
    shares = StartShares(3)
    assert shares.left_by_higher(2, 0.0) == 1.0
    for _ in range(3):
        shares.observe(0, 0.0)
    shares.observe(2, 0.0)
    assert shares.left_by_higher(0, 0.0) == 1.0
    assert shares.left_by_higher(1, 0.0) == pytest.approx(0.25)
    shares.observe(2, 10 * MEMORY_S)  # the old ones hardly count by now
    assert shares.left_by_higher(2, 10 * MEMORY_S) == pytest.approx(1.0, abs=0.001)
