"""What was counted reaches the exporter, once, whatever else happens."""

import asyncio
import contextvars
import logging
from collections.abc import Iterable

import pytest

from deployments.metrics import handover as module
from deployments.metrics.handover import Handover
from deployments.metrics.readings import Reading


class Told:
    """An exporter that keeps what it is told."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self.gauges: list[float] = []
        self.calls = 0

    def increase(self, reading: Reading, by: float) -> None:
        assert by > 0
        self.calls += 1
        self.sums[reading.name, reading.labels] = self.sums.get((reading.name, reading.labels), 0) + by

    def set(self, reading: Reading) -> None:
        self.gauges.append(reading.value)


class Counted:
    """A source whose counters are given."""

    def __init__(self, **counters: float) -> None:
        self.counters = counters
        self.broken = 0

    def __call__(self) -> Iterable[Reading]:
        if self.broken:
            self.broken -= 1
            raise RuntimeError("broken")
        return [Reading(name, False, (), value) for name, value in self.counters.items()]


def test_only_what_has_grown_is_told() -> None:
    source, told = Counted(a=2, b=0), Told()
    handover = Handover(source, told)
    handover.hand_over()
    handover.hand_over()
    assert (told.sums, told.calls) == ({("a", ()): 2}, 1)
    source.counters = {"a": 7, "b": 1.5}
    handover.hand_over()
    assert (told.sums, told.calls) == ({("a", ()): 7, ("b", ()): 1.5}, 3)


def test_a_counter_that_has_fallen_began_anew() -> None:
    source, told = Counted(a=5), Told()
    handover = Handover(source, told)
    for value in (5, 2, 3):
        source.counters["a"] = value
        handover.hand_over()
    assert told.sums == {("a", ()): 8}


def test_a_counter_that_began_anew_at_nothing_adds_nothing() -> None:
    source, told = Counted(a=5), Told()
    handover = Handover(source, told)
    for value in (5, 0, 1):
        source.counters["a"] = value
        handover.hand_over()
    assert told.sums == {("a", ()): 6}


def test_a_gauge_is_told_every_time() -> None:
    told = Told()
    handover = Handover(lambda: [Reading("g", True, (), 4)], told)
    handover.hand_over()
    handover.hand_over()
    assert told.gauges == [4, 4]


def test_what_the_exporter_did_not_take_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source, told = Counted(a=2), Told()
    handover = Handover(source, told)
    with monkeypatch.context() as patched:
        patched.setattr(told, "increase", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            handover.hand_over()
    handover.hand_over()
    assert told.sums == {("a", ()): 2}


async def test_it_goes_on_in_the_background_after_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.001)
    mark = contextvars.ContextVar("mark", default="nobody's")
    seen: list[str] = []
    source, told = Counted(a=1), Told()
    source.broken = 2

    def read() -> Iterable[Reading]:
        seen.append(mark.get())
        return source()

    handover = Handover(read, told)
    mark.set("a request's")
    with caplog.at_level(logging.ERROR):
        handover.start()
        handover.start()
        while not told.sums:
            await asyncio.sleep(0.001)
    assert told.sums == {("a", ()): 1}
    assert len(caplog.records) == 2
    assert set(seen) == {"nobody's"}, "it carries no request's context"
    source.counters["a"] = 4
    await handover.close()
    assert told.sums == {("a", ()): 4}, "what is left is told at the end"
