import pytest

from deployments.router.scheduler.drain import MEMORY_S, HoldingTime, StartRates


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


def test_what_higher_bands_leave() -> None:
    rates = StartRates(3)
    assert rates.left_by_higher(2, 0.0, drain_per_s=4.0) == 1.0
    now_s = 0.0
    while now_s < 20 * MEMORY_S:  # one a second of the highest band, one every two seconds of the second
        rates.observe(0, now_s)
        if round(now_s) % 2:
            rates.observe(1, now_s)
        now_s += 1.0
    assert rates.left_by_higher(0, now_s, 4.0) == 1.0
    assert rates.left_by_higher(1, now_s, 4.0) == pytest.approx(3 / 4, rel=0.02)
    assert rates.left_by_higher(2, now_s, 4.0) == pytest.approx(2.5 / 4, rel=0.02)
    assert rates.left_by_higher(2, now_s, 1.0) == 0.0  # they take more than there is
    assert rates.left_by_higher(2, now_s + 10 * MEMORY_S, 1.0) == pytest.approx(1.0, abs=0.001)


def test_a_burst_that_has_just_begun_says_little() -> None:
    rates = StartRates(2)
    for n in range(50):
        rates.observe(0, n / 100)
    assert rates.left_by_higher(1, 0.5, drain_per_s=100.0) > 0.99
