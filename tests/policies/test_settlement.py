"""Giving back, when Redis cannot be reached for a while."""

import asyncio
from typing import Any, cast

import pytest

from policies import Charge, Decision, RateLimitPolicy
from policies import settlement as module
from policies.counts import LimiterCounts
from policies.errors import StoreUnavailableError
from policies.places import Place, window_of
from policies.settlement import ATTEMPTS, LONGEST_PAUSE_S, Settlement


class FailingLimiter:
    """Fails so many times before it settles."""

    def __init__(self, failures: int) -> None:
        self.left, self.settled, self.counts = failures, 0, LimiterCounts()

    async def settle(self, decision: Decision, actual: object) -> None:
        if self.left:
            self.left -= 1
            raise StoreUnavailableError("gone")
        self.settled += 1


REQUESTS, TOKENS, SLOTS = (
    RateLimitPolicy.model_validate({"name": unit, "scope": "GLOBAL", "unit": unit, "limit": 10, "window": "1m"})
    for unit in ("requests", "total_tokens", "concurrent_requests")
)


def _decision(policy: RateLimitPolicy, **fields: Any) -> Decision:
    return Decision("id", True, 0.0, None, 1.0, (), _charges=(Charge(policy, cost=5),), **fields)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses asked for; none is made."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    return asked


@pytest.mark.parametrize(("failures", "settled"), [(0, 1), (ATTEMPTS - 1, 1), (ATTEMPTS, 0)])
async def test_a_settlement_outlasts_a_restart_of_redis(pauses: list[float], failures: int, settled: int) -> None:
    limiter = FailingLimiter(failures)
    settlement = Settlement(cast(Any, limiter))
    settlement.end(_decision(TOKENS), {"total_tokens": 3})
    await settlement.close()
    assert limiter.settled == settled
    assert limiter.counts.settlements == {"settled" if settled else "given_up": 1}
    assert len(pauses) == min(failures, ATTEMPTS - 1)
    if failures >= ATTEMPTS - 1:
        assert sum(pauses) > 10
        assert max(pauses) == LONGEST_PAUSE_S


@pytest.mark.parametrize(
    ("decision", "actual", "settled"),
    [
        (_decision(REQUESTS), {"total_tokens": 3}, 0),
        (_decision(TOKENS), {"total_tokens": 5}, 0),
        (_decision(TOKENS), {"total_tokens": 0}, 1),
        (_decision(TOKENS), {"total_tokens": 6}, 1),
        (_decision(TOKENS), {}, 0),  # what it used is not known: the reservation stays
        (_decision(SLOTS), {}, 1),
        (_decision(REQUESTS, degraded=True), {}, 1),  # counted in this process: the limiter knows what is to be done
    ],
)
async def test_only_what_changes_something_is_settled(decision: Decision, actual: dict[str, int], settled: int) -> None:
    limiter = FailingLimiter(0)
    settlement = Settlement(cast(Any, limiter))
    settlement.end(decision, actual)
    await settlement.close()
    assert limiter.settled == settled
    assert limiter.counts.settlements == ({"settled": 1} if settled else {})


class LosingLimiter(FailingLimiter):
    """Renews, and says each time that a lease has run out."""

    def __init__(self) -> None:
        super().__init__(0)
        self.renewed = asyncio.Event()
        self.renewals = 0

    async def renew(self, decision: Decision) -> bool:
        self.renewals += 1
        if self.renewals == 3:
            self.renewed.set()
        return False


async def test_a_lease_that_ran_out_does_not_end_the_renewal_of_the_others(caplog: pytest.LogCaptureFixture) -> None:
    short, long = (SLOTS.model_copy(update={"window": window}) for window in (30, 3_600_000))
    limiter = LosingLimiter()
    settlement = Settlement(cast(Any, limiter))
    windows = tuple(
        window_of(Place(policy, "", "global", None, "sluice"), 1, 1, 0, policy.window) for policy in (short, long)
    )
    decision = Decision("id", True, 0.0, None, 1.0, windows, _charges=(Charge(short), Charge(long)))
    settlement.begin(decision)
    async with asyncio.timeout(10):
        await limiter.renewed.wait()
    settlement.end(decision, {})
    await settlement.close()
    assert limiter.counts.leases_expired == 1
    assert caplog.text.count("ran out") == 1
