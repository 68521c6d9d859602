"""What is known of windows: the latest news counts, and what time alone changes is looked at again."""

from typing import Any

import pytest

from deployments.ingress.live import known_windows as module
from deployments.ingress.live.known_windows import KnownWindows
from policies import RateLimitPolicy

POLICY = RateLimitPolicy(name="p", scope="TENANT", limit=10, window="10s")
TOKENS = RateLimitPolicy(name="p", scope="TENANT", unit="total_tokens", limit=10, window="10s")


def row(at_ms: int, used: int = 1, reset_s: float = 5.0, subject: str = "acme", **fields: Any) -> list[Any]:
    told = {"unit": "requests", "limit": 10, "enforced": True, **fields}
    shown = ["p", "TENANT", subject, told["unit"], told["limit"], 10.0, used, 10 - used, reset_s, told["enforced"]]
    return [*shown, f"tenant:{subject}", at_ms]


def known(*rows: list[Any]) -> KnownWindows:
    windows = KnownWindows()
    for each in rows:
        windows.put(each)
    return windows


def shown(windows: KnownWindows, now_ms: int = 2_000, **asked: Any) -> list[dict[str, Any]]:
    return windows.shown(now_ms, asked.get("visible"), everything=asked.get("everything", True))


def test_what_was_found_later_counts_whenever_it_comes() -> None:
    windows = known(row(2_000, 3), row(1_000, 2))
    assert [each["used"] for each in shown(windows)] == [3]
    windows.put(row(2_000, 4))
    assert [each["used"] for each in shown(windows)] == [4], "of the same millisecond, what came later"


def test_the_reset_is_told_from_now_on() -> None:
    assert shown(known(row(1_000, reset_s=5.0)), 2_500)[0]["reset_after_s"] == 3.5
    assert shown(known(row(1_000, reset_s=5.0)), 9_000)[0]["reset_after_s"] == 0
    assert shown(known(row(1_000, 0, 0.0)), 2_000)[0]["reset_after_s"] == 0


@pytest.mark.parametrize(
    ("later", "changes"),
    [
        (row(2_000, reset_s=4.0), False),
        (row(2_000, reset_s=4.02), False),
        (row(2_000, reset_s=5.0), True),
        (row(2_000, 2, 4.0), True),
        (row(2_000, reset_s=4.0, limit=11), True),
        (row(2_000, reset_s=4.0, enforced=False), True),
    ],
    ids=["nothing", "a trifle", "reset", "used", "limit", "mode"],
)
def test_only_what_changed_is_shown(later: list[Any], changes: bool) -> None:
    windows = known(row(1_000, reset_s=5.0))
    windows.settle()
    windows.put(later)
    assert bool(shown(windows, everything=False)) is changes
    assert len(shown(windows)) == 1


def test_what_may_not_be_seen_is_not_shown() -> None:
    windows = known(row(1_000), row(1_000, subject="globex"))
    assert [each["subject"] for each in shown(windows, visible=frozenset({("p", "globex")}))] == ["globex"]
    assert shown(windows, visible=frozenset()) == []


@pytest.mark.parametrize(
    ("told", "policy", "due_ms"),
    [
        (row(1_000, reset_s=0.8), POLICY, 1_800),
        (row(1_000, reset_s=0.01), POLICY, 1_300),
        (row(1_000, reset_s=9.0), POLICY, 3_000),
        (row(1_000, reset_s=9.0, unit="total_tokens"), TOKENS, 1_600),
        (row(1_000, 0, 0.0), POLICY, None),
    ],
    ids=["at its reset", "not too soon", "nor too late", "soon, where endings change it", "empty: never"],
)
def test_when_a_window_is_looked_at_again(told: list[Any], policy: RateLimitPolicy, due_ms: int | None) -> None:
    windows = known(told)
    if due_ms is None:
        assert not windows.due(1 << 50, lambda _: policy)
        return
    assert not windows.due(due_ms - 1, lambda _: policy)
    (charge,) = windows.due(due_ms, lambda _: policy)
    assert (charge.policy, charge.subject, charge.slot) == (policy, "acme", "tenant:acme")
    assert not windows.due(due_ms, lambda _: policy), "once, until it is answered or some time has passed"


@pytest.mark.parametrize("policy", [None, TOKENS], ids=["gone", "of another unit now"])
def test_windows_of_policies_that_changed_are_let_be(policy: RateLimitPolicy | None) -> None:
    assert not known(row(1_000)).due(1 << 50, lambda _: policy)


def test_memory_and_work_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KNOWN", 50)
    monkeypatch.setattr(module, "MOST_LOOKED_AT", 7)
    windows = known(*(row(1_000 + number, subject=f"t{number}") for number in range(80)))
    assert [each["subject"] for each in shown(windows)] == [f"t{number}" for number in range(30, 80)]
    assert [each.subject for each in windows.due(1 << 50, lambda _: POLICY)] == [f"t{n}" for n in range(30, 37)]
    assert len(shown(windows, everything=False)) == 50, "what was forgotten is not shown"
