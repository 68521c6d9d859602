"""The circuit breaker on a clock of its own."""

from policies.breaker import FAILURES_TO_OPEN, OPEN_S, Breaker


def test_opens_after_failures_in_a_row_and_probes_one_at_a_time() -> None:
    now = [100.0]
    breaker = Breaker(clock=lambda: now[0])
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed()
    breaker.answered()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed()
    assert breaker.lets_through()
    assert not breaker.is_open
    breaker.failed()
    assert breaker.is_open
    assert not breaker.lets_through()
    now[0] += OPEN_S
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    breaker.failed()
    now[0] += OPEN_S
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    breaker.answered()
    assert not breaker.is_open
    assert all(breaker.lets_through() for _ in range(3))
