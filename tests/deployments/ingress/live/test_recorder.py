"""What is gathered between two messages: exact counts, an honest sample, bounded memory."""

from typing import Any
from zlib import crc32

import pytest

from deployments.ingress.live import recorder as recorder_module
from deployments.ingress.live.recorder import MOST_SHOWN, Ended, Recorder, Sample, bucket
from policies import Charge, Decision, RateLimitPolicy
from policies.entities import ApiKey
from policies.places import Place, window_of
from policies.resolver import Identity


def identity(tenant: str = "acme", band: str = "premium", key: str = "k1") -> Identity:
    return Identity(tenant, "paula", ApiKey(id=key, user="paula", sha256="0" * 64), band)


def decision(used: int, limit: int = 2, **fields: Any) -> Decision:
    """Of a request that found so much used."""
    policy = RateLimitPolicy(**{"name": "burst", "scope": "TENANT", "limit": limit, "window": "1m", **fields})
    charge = Charge(policy, "acme", 1, "tenant:acme")
    allowed = used < limit or policy.mode == "shadow"
    retry_ms = 0 if used < limit else 30_000
    window = window_of(Place(policy, "acme", "tenant:acme", None, "sluice"), 1, used + allowed, retry_ms, 50_000)
    by = None if allowed else "burst"
    return Decision("d", allowed, retry_ms / 1000 * (not allowed), by, 1_764_000_000.5, (window,), _charges=(charge,))


def ended(identifier: str, status: int = 200, code: str | None = None, wait_s: float | None = 0.02) -> Ended:
    return Ended(identifier, identity(), "small", status, code, wait_s, None, 0.5, 3, 5)


def test_nothing_happened() -> None:
    assert Recorder().take() is None


def test_counts_are_by_tenant_and_band() -> None:
    recorder = Recorder()
    recorder.decided("1", identity(), "small", decision(0))
    recorder.decided("2", identity(), "small", decision(2))
    recorder.decided("3", identity("globex", "batch"), "small", decision(5, mode="shadow"))
    for each in (
        ended("1"),
        ended("4", 429, "queue_full", None),
        ended("5", 429, "queue_timeout", None),
        ended("6", 503, "model_unavailable"),
        ended("7", 499, None, None),
        ended("2", 429, "rate_limit_exceeded", None),
    ):
        recorder.ended(each)
    taken = recorder.take()
    assert taken is not None
    assert taken["counts"] == [
        ["acme", "premium", [1, 1, 0, 2, 1, 1], {bucket(0.02): 2}],
        ["globex", "batch", [1, 0, 1, 0, 0, 0], {}],
    ]
    assert taken["denied_by"] == [["acme", "burst", 1]]
    assert [row[1] for row in taken["requests"]] == ["1", "2", "3"]
    assert taken["requests"][2][-1] == ["burst"]
    assert len(taken["endings"]) == 6
    assert recorder.take() is None, "it is told once"


def test_a_window_is_told_once_as_the_latest_found_it() -> None:
    recorder = Recorder()
    for used in range(2):
        recorder.decided(str(used), identity(), "small", decision(used))
    (row,) = (recorder.take() or {})["windows"]
    assert row[:3] == ["burst", "TENANT", "acme"]
    assert row[6:8] == [2, 0]
    assert row[-2:] == ["tenant:acme", 1_764_000_000_500]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (decision(2), True),
        (decision(2, block={"denials": 3, "within": "1m", "duration": "1m"}), False),
        (Decision("d", True, 0.0, None, 1.0, decision(0).windows, True, decision(0)._charges), False),
    ],
    ids=["denied", "perhaps from memory", "without Redis"],
)
def test_only_what_redis_said_is_told_of_windows(found: Decision, told: bool) -> None:
    recorder = Recorder()
    recorder.decided("1", identity(), "small", found)
    assert bool((recorder.take() or {})["windows"]) is told


def test_a_burst_is_sampled_and_counted_exactly() -> None:
    recorder = Recorder()
    for number in range(10_000):
        recorder.decided(f"r{number}", identity(), "small", decision(number % 4))
        recorder.ended(ended(f"r{number}"))
    taken = recorder.take()
    assert taken is not None
    (counts,) = taken["counts"]
    assert counts[2] == [5_000, 5_000, 0, 0, 0, 10_000]
    one_in = taken["one_in"]
    shown = {row[1] for row in taken["requests"]}
    assert shown == {row[1] for row in taken["endings"]}, "who is shown a request is shown its ending"
    assert shown == {f"r{n}" for n in range(10_000) if crc32(f"r{n}".encode()) % one_in == 0}
    assert MOST_SHOWN // 4 < len(shown) <= MOST_SHOWN


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MOST_GATHERED", 100)
    monkeypatch.setattr(recorder_module, "MOST_COUNTED", 20)
    monkeypatch.setattr(recorder_module, "MOST_WINDOWS", 30)
    recorder = Recorder()
    for number in range(5_000):
        recorder.decided(f"r{number}", identity(f"t{number}", key=f"k{number}"), "small", decision(2))
    assert len(recorder._decided) < 100
    assert len(recorder._latest) <= 30
    taken = recorder.take()
    assert taken is not None
    assert len(taken["counts"]) <= 21
    assert len(taken["denied_by"]) <= 21
    assert sum(row[2][1] for row in taken["counts"]) == 5_000, "what is beyond is counted for all together"
    assert sum(row[2] for row in taken["denied_by"]) == 5_000


def test_a_client_with_one_id_for_all_does_not_fill_the_sample() -> None:
    sample = Sample(8)
    same = next(f"id-{n}" for n in range(1 << 20) if crc32(f"id-{n}".encode()) % (1 << 16) == 0)
    for number in range(1_000):
        sample.add(same, number)
    assert len(sample.kept) <= 8


def test_when_nobody_watches_any_more_nothing_is_kept() -> None:
    recorder = Recorder()
    recorder.watched = True
    recorder.decided("1", identity(), "small", decision(0))
    recorder.forget()
    assert not recorder.watched
    assert recorder.take() is None


@pytest.mark.parametrize(
    ("wait_s", "expected"), [(0.0, 0), (0.001, 0), (0.0011, 1), (0.00111, 2), (1.0, 73), (10_000.0, 160)]
)
def test_buckets_are_those_of_service_levels(wait_s: float, expected: int) -> None:
    assert bucket(wait_s) == expected
    assert expected == 160 or 1.1**expected >= wait_s * 1000 * 0.9999
