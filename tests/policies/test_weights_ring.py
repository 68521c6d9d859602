"""The ring of weights through everything that moves it: it fills, comes round, grows while it has come round, drains,
shrinks, begins in the middle of a log. What it says is compared with a plain list at every step."""

import random

import pytest

from policies import Charge, Limiter, RateLimitPolicy
from policies.entities import MAX_LIMIT
from tests.policies.conftest import Clock
from tests.policies.reference import Log

WINDOW_MS = 60_000
POLICY = RateLimitPolicy(name="t", scope="TENANT", unit="total_tokens", limit=MAX_LIMIT, window=WINDOW_MS)


@pytest.mark.parametrize("seed", range(2))
async def test_the_ring_says_what_a_list_says(limiter: Limiter, clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    log, taken = Log(), []
    for _ in range(10):
        # How many entries the window holds in this phase: from almost none to some thousands, up and down.
        pace_ms = chance.choice((15, 30, 100, 400, 2_000, 9_000))
        for step in range(chance.randint(20, 700)):
            clock.ms += chance.randint(0, 2 * pace_ms)
            cost = 1 if seed % 2 and chance.random() < 0.7 else chance.randint(1, 5_000)
            decision = await limiter.acquire([Charge(POLICY, "acme", cost)])
            taken.append((decision, log.append(cost, clock.ms), cost))
            assert decision.windows[0].used == log.used(WINDOW_MS, clock.ms)
            if chance.random() < 0.3:
                given, entry, reserved = taken[-chance.randint(1, min(len(taken), 300))]
                actual = chance.randint(0, reserved + (50 if chance.random() < 0.1 else 0))
                if entry.ms > clock.ms - WINDOW_MS and not entry.settled:
                    await limiter.settle(given, {"total_tokens": actual})
                    log.settle(entry, actual, clock.ms)
            if step % 50 == 0:
                used = log.used(WINDOW_MS, clock.ms)
                limit = max(1, round(used * chance.random()))
                tight = POLICY.model_copy(update={"limit": limit})
                window = (await limiter.peek([Charge(tight, "acme", 1)])).windows[0]
                assert window.used == used
                assert round(window.retry_after_s * 1000) == log.retry_ms(1, limit, WINDOW_MS, clock.ms)
                assert round(window.reset_after_s * 1000) == max(0, log.reset_ms(WINDOW_MS, clock.ms))
                log.entries = [e for e in log.entries if e.ms > clock.ms - WINDOW_MS]
