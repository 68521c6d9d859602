from math import inf

from deployments.router.scheduler import Request
from deployments.router.scheduler.deadlines import SLACK, Deadlines
from deployments.router.scheduler.entry import Entry


def waiting(sequence: int, expires_s: float) -> Entry:
    entry = Entry(Request(f"r{sequence}", "h", "p", "b", "t", 1), sequence, 0.0, expires_s)
    entry.waiting = True
    return entry


def test_they_expire_in_order_and_at_the_instant_itself() -> None:
    deadlines = Deadlines()
    later, first, never = waiting(1, 9.0), waiting(2, 5.0), waiting(3, inf)
    for entry in (later, first, never):
        deadlines.add(entry)
    assert deadlines.next_s() == 5.0
    assert deadlines.pop_due(4.999) is None
    assert deadlines.pop_due(5.0) is first
    assert deadlines.pop_due(8.0) is None
    assert deadlines.pop_due(9.0) is later
    assert deadlines.next_s() is None


def test_what_left_the_queue_does_not_expire() -> None:
    deadlines = Deadlines()
    gone, there = waiting(1, 1.0), waiting(2, 2.0)
    deadlines.add(gone)
    deadlines.add(there)
    gone.waiting = False
    assert deadlines.next_s() == 2.0
    assert deadlines.pop_due(3.0) is there
    assert deadlines.pop_due(3.0) is None


def test_memory_is_in_proportion_to_what_waits() -> None:
    deadlines = Deadlines()
    for sequence in range(10_000):
        entry = waiting(sequence, 1_000.0)
        deadlines.add(entry)
        entry.waiting = sequence % 1_000 == 0  # most leave at once
        deadlines.tidy(1 + sequence // 1_000)
        assert len(deadlines._heap) <= 2 * (1 + sequence // 1_000) + SLACK + 1
    assert deadlines.next_s() == 1_000.0
