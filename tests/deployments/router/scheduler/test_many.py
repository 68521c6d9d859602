"""A hundred thousand requests in the queue: what a decision costs then, counted in steps of Python, not in time."""

import sys
from collections.abc import Callable
from math import log2
from types import FrameType
from typing import Any

import pytest

from deployments.router.scheduler import Request, Scheduler, Started

from .harness import Clock, bands

MANY = 100_000


def filled(count: int, tenants: int) -> tuple[Scheduler, Clock]:
    clock = Clock()
    qos = bands(**{name: {"queue_bound": MANY, "longest_wait": "1h"} for name in ("high", "low")})
    scheduler = Scheduler(qos, clock)
    scheduler.add_pool("p", 64)
    for number in range(count):
        band, tenant = ("high", "low")[number % 2], f"t{number % tenants}"
        scheduler.submit(Request(f"r{number}", f"h{number % 8}", "p", band, tenant, 1 + number * 7919 % 1_000))
    return scheduler, clock


def lines_of(call: Callable[[], Any]) -> int:
    """Lines of Python that a call runs: deterministic, and the same on every machine."""
    ran = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal ran
        ran += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return ran


def cost_of_decisions(scheduler: Scheduler, count: int) -> dict[str, float]:
    """Mean lines for each kind of decision, amortised over many of them."""
    running = [f"r{number}" for number in range(64)]
    lines = {"submit": 0, "complete": 0, "cancel": 0}
    for number in range(count):
        new = Request(f"new{number}", "h1", "p", "low", f"t{number * 31 % 997}", 100)
        lines["submit"] += lines_of(lambda new=new: scheduler.submit(new))  # type: ignore[misc]
        ended = running.pop(0)
        outcomes: list[Any] = []
        lines["complete"] += lines_of(lambda e=ended, o=outcomes: o.extend(scheduler.complete(e, 50)))  # type: ignore[misc]
        running += [outcome.id for outcome in outcomes if isinstance(outcome, Started)]
        gone = f"r{1_000 + 4 * number}"
        lines["cancel"] += lines_of(lambda gone=gone: scheduler.cancel(gone))  # type: ignore[misc]
    return {kind: total / count for kind, total in lines.items()}


@pytest.mark.parametrize("tenants", [1, 997])
def test_a_decision_does_not_grow_with_the_queue(tenants: int) -> None:
    small = cost_of_decisions(filled(3_000, tenants)[0], 400)
    large = cost_of_decisions(filled(MANY, tenants)[0], 400)
    for kind, lines in large.items():
        assert lines <= small[kind] * log2(MANY) / log2(3_000), kind


def test_all_of_them_start_in_the_end() -> None:
    scheduler, _ = filled(MANY, 997)
    assert scheduler.statistics()[0].waiting == MANY - 64
    running = [f"r{number}" for number in range(64)]
    started = set(running)
    while running:
        for outcome in scheduler.complete(running.pop(), 100):
            assert isinstance(outcome, Started)
            running.append(outcome.id)
            started.add(outcome.id)
    assert len(started) == MANY
    assert scheduler.statistics()[0].used == 0


def test_all_of_them_expire_at_once() -> None:
    scheduler, clock = filled(MANY, 997)
    clock.now_s += 3_600
    assert len(scheduler.expire()) == MANY - 64
    assert scheduler.expire() == []
    assert scheduler.next_wakeup_s() is None


def test_a_full_queue_makes_room_without_looking_at_everybody() -> None:
    scheduler, _ = filled(MANY, 1)
    for number in range(MANY // 2 + 64):  # the low band's queue is full from here on
        scheduler.submit(Request(f"fill{number}", "h", "p", "low", "t0", 1))
    costs = [
        lines_of(lambda n=number: scheduler.submit(Request(f"other{n}", "h", "p", "low", f"o{n}", 1)))  # type: ignore[misc]
        for number in range(200)
    ]
    assert scheduler.statistics()[0].bands[1].waiting == MANY
    assert sum(costs) / len(costs) < 300
