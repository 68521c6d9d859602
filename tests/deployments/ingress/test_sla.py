"""Service levels: what is counted, for how long, and what is made of it."""

import random

import pytest

from deployments.ingress import sla
from deployments.ingress.sla import SlaBook, SlaTarget, merged, percentile_ms, report


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def attained(book: SlaBook, tenant: str = "acme", window: str = "1m", **target: float) -> dict[str, object]:
    tenants = report(book.figures(), {"premium": SlaTarget(**target)})["tenants"]  # type: ignore[arg-type] # numbers
    found = [t for t in tenants if t["tenant"] == tenant]  # type: ignore[attr-defined]
    result: dict[str, object] = found[0]["windows"][window] if found else {}
    return result


def test_percentiles_are_at_most_a_tenth_too_high(clock: Clock) -> None:
    book = SlaBook(clock)
    for ms in range(1, 1001):
        book.succeeded("acme", "premium", ms / 1000, ms / 500)
    figures = attained(book)
    assert figures["requests"] == 1000
    for name, exact_ms in {"ttft_p50_ms": 500, "ttft_p95_ms": 950, "latency_p95_ms": 1900}.items():
        assert exact_ms <= figures[name] <= exact_ms * sla.STEP  # type: ignore[operator] # numbers


def test_the_success_rate(clock: Clock) -> None:
    book = SlaBook(clock)
    for _ in range(3):
        book.succeeded("acme", "premium", None, 0.5)
    book.failed("acme", "premium")
    figures = attained(book)
    assert figures["success_rate"] == 0.75
    assert figures["ttft_p95_ms"] is None, "nothing was streamed"


@pytest.mark.parametrize(
    ("target", "met"),
    [
        ({}, None),
        ({"ttft_p95_ms": 1_000}, True),
        ({"ttft_p95_ms": 100}, False),
        ({"success_rate": 0.5}, True),
        ({"success_rate": 0.9}, False),
        ({"ttft_p95_ms": 1_000, "success_rate": 0.9}, False),
    ],
)
def test_whether_a_target_is_met(clock: Clock, target: dict[str, float], met: bool | None) -> None:
    book = SlaBook(clock)
    book.succeeded("acme", "premium", 0.5, 1.0)
    book.failed("acme", "premium")
    assert attained(book, **target)["met"] is met


def test_windows_roll(clock: Clock) -> None:
    book = SlaBook(clock)
    book.failed("acme", "premium")
    clock.now += 50
    book.succeeded("acme", "premium", None, 1.0)
    assert attained(book)["requests"] == 2
    clock.now += 30
    assert attained(book)["requests"] == 1
    assert attained(book, window="1h")["requests"] == 2
    clock.now += 3_600
    assert attained(book) == {}


def test_memory_is_bounded(clock: Clock) -> None:
    book = SlaBook(clock)
    for second in range(8_000):
        clock.now += 1
        book.succeeded("acme", "premium", 0.1 * (second % 7), 1.0)
    rings = book._tenants["acme"].rings
    assert {name: len(ring._packed) for name, ring in rings.items()} == {"1m": 11, "1h": 59}
    for n in range(sla.MOST_TENANTS + 10):
        book.failed(f"tenant-{n}", "batch")
    assert len(book._tenants) == sla.MOST_TENANTS
    assert "tenant-5" not in book.figures()
    book.succeeded("acme", "premium", 1e9, 0.0)
    assert attained(book)["latency_p50_ms"] == 1.0


def test_slices_that_are_over_are_small_and_lose_nothing(clock: Clock) -> None:
    book, times_ms = SlaBook(clock), [random.uniform(1, 60_000) for _ in range(6_000)]
    for ms in times_ms:
        clock.now += 0.59
        book.succeeded("acme", "premium", ms / 2_000, ms / 1_000)
    hour = book.figures()["acme"][1]["1h"]
    assert (hour.succeeded, sum(hour.ttft.values()), sum(hour.latency.values())) == (6_000, 6_000, 6_000)
    whole = SlaBook(lambda: 0.0)
    for ms in times_ms:
        whole.succeeded("acme", "premium", ms / 2_000, ms / 1_000)
    assert hour == whole.figures()["acme"][1]["1h"]
    packed = book._tenants["acme"].rings["1h"]._packed.values()
    assert max(len(ttft) + len(latency) for _, _, ttft, latency in packed) < 1_500


def test_replicas_together(clock: Clock) -> None:
    one, two = SlaBook(clock), SlaBook(clock)
    one.succeeded("acme", "premium", 0.1, 1.0)
    two.succeeded("acme", "premium", 0.4, 1.0)
    two.failed("globex", "standard")
    together = merged([one.figures(), two.figures()])
    assert together["acme"][1]["1m"].succeeded == 2
    assert percentile_ms(together["acme"][1]["1m"].ttft, 1.0) == percentile_ms(two.figures()["acme"][1]["1m"].ttft, 1.0)
    assert together["globex"][0] == "standard"
