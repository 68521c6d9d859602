"""Logs of a hundred thousand entries, and the rings of weights beside them: growing, wrapping, shrinking, mended."""

import asyncio
import random
from bisect import bisect_left
from collections.abc import AsyncIterator
from itertools import accumulate, pairwise

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from policies import Charge, Decision, Limiter, RateLimitPolicy, lane
from tests.policies.conftest import Clock
from tests.policies.redis_server import RedisServer

BIG = 100_000
WINDOW_MS = 600_000
TOKENS = RateLimitPolicy(name="t", scope="TENANT", unit="total_tokens", limit=10**12, window=WINDOW_MS)
REQUESTS = RateLimitPolicy(name="r", scope="TENANT", limit=BIG, window=WINDOW_MS)


class Shadow:
    """What a log must hold: times and weights in order, all within one window until `leave` is called."""

    def __init__(self, limiter: Limiter, clock: Clock, policy: RateLimitPolicy) -> None:
        self.limiter, self.clock, self.policy = limiter, clock, policy
        self.times: list[int] = []
        self.weights: list[int] = []
        self.decisions: list[Decision] = []

    async def fill(self, costs: list[int], step_ms: int = 0) -> None:
        for at in range(0, len(costs), 100):
            self.clock.ms += step_ms
            chunk = costs[at : at + 100]
            decisions = await asyncio.gather(
                *(self.limiter.acquire([Charge(self.policy, cost=cost)]) for cost in chunk)
            )
            assert all(decision.allowed for decision in decisions)
            self.decisions += decisions
            self.weights += chunk
            self.times += [self.clock.ms] * len(chunk)
        self.leave()

    async def settle(self, index: int, actual: int) -> None:
        await self.limiter.settle(self.decisions[index], {self.policy.unit: actual})
        self.weights[index] = min(actual, self.weights[index])

    def leave(self) -> None:
        gone = bisect_left(self.times, self.clock.ms - WINDOW_MS + 1)
        del self.times[:gone], self.weights[:gone], self.decisions[:gone]

    async def check(self, probes: int = 25) -> None:
        """Compares what is used, and the retry time of random costs under random limits."""
        sums = list(accumulate(self.weights))
        for _ in range(probes):
            limit = random.randint(1, max(1, sums[-1]))
            cost = random.randint(1, min(limit, 10**9))
            asked = Charge(self.policy.model_copy(update={"limit": limit}), cost=cost)
            window = (await self.limiter.peek([asked])).windows[0]
            assert window.used == sums[-1]
            need = sums[-1] + cost - limit
            fits_at = self.times[bisect_left(sums, need)] + WINDOW_MS if need > 0 else self.clock.ms
            assert window.retry_after_s == (fits_at - self.clock.ms) / 1000
            first = next((i for i, weight in enumerate(self.weights) if weight), None)
            assert window.reset_after_s == (
                0 if first is None else (self.times[first] + WINDOW_MS - self.clock.ms) / 1000
            )


@pytest_asyncio.fixture
async def big(newest_server: RedisServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Limiter]:
    random.seed(7)
    # A pause of the machine that runs the tests is none of Redis.
    monkeypatch.setattr(lane, "ABANDON_S", 20)
    redis = Redis(unix_socket_path=newest_server.socket)
    made = Limiter(redis, deadline_s=20, steered_clock=clock)
    yield made
    await made.close()
    await redis.aclose()


async def test_a_hundred_thousand_requests(big: Limiter, clock: Clock) -> None:
    log = Shadow(big, clock, REQUESTS)
    await log.fill([1] * BIG, step_ms=500)
    await log.check()
    denied = await big.acquire([Charge(REQUESTS)])
    assert (denied.allowed, denied.windows[0].used) == (False, BIG)
    clock.ms += round(denied.retry_after_s * 1000)
    log.leave()
    await log.check()
    await log.settle(len(log.times) // 2, 0)  # the weights begin here
    await log.check()
    await log.settle(0, 0)
    await log.check()


async def test_a_hundred_thousand_weights(big: Limiter, clock: Clock, newest_server: RedisServer) -> None:
    log = Shadow(big, clock, TOKENS)
    key, state = big._places.of(Charge(TOKENS)).keys
    await log.fill([random.choice((1, 7, 4_000, 10**7 - 3)) for _ in range(BIG)], step_ms=500)
    await log.check()
    for _ in range(300):
        index = random.randrange(len(log.times))
        if not log.decisions[index]._ending.done:
            await log.settle(index, random.randint(0, log.weights[index]))
    await log.check()
    with newest_server.sync() as client:
        grown = client.strlen(state)
        # Half leaves and the ring wraps, then nearly all leaves and it shrinks.
        clock.ms += 350_000
        log.leave()
        await log.check()
        await log.fill([random.randint(1, 50) for _ in range(30_000)])
        await log.check()
        clock.ms += 400_000
        await log.fill([random.randint(1, 50) for _ in range(2_000)])
        clock.ms += 200_000
        log.leave()
        assert len(log.times) == 2_000
        await log.check()
        await log.fill([random.randint(1, 50) for _ in range(1_000)])
        assert client.strlen(state) < grown / 10
        assert client.xlen(key) < 6_000
        await log.check()


@pytest.mark.parametrize("live", [1, 63, 64, 65, 127, 128, 129, 4_095, 4_096, 4_097, 8_200])
async def test_weights_at_the_edges_of_blocks_and_supers(big: Limiter, clock: Clock, live: int) -> None:
    log = Shadow(big, clock, TOKENS)
    await log.fill([random.randint(1, 9) for _ in range(live)])
    for index in {0, live // 2, live - 1}:
        await log.settle(index, 0)
    await log.check(5)
    clock.ms += WINDOW_MS // 2
    await log.fill([random.randint(1, 9) for _ in range(70)])
    await log.check(5)
    clock.ms += WINDOW_MS // 2  # all of the first leave: the head stands in the middle of a block
    log.leave()
    await log.check(5)
    await log.fill([random.randint(1, 9) for _ in range(200)])
    await log.check(5)
    for index in (0, 69, 70, 269):
        await log.settle(index, 1)
    await log.check(5)


async def test_a_state_that_another_hand_removed_is_made_again(
    big: Limiter, clock: Clock, newest_server: RedisServer
) -> None:
    log = Shadow(big, clock, TOKENS)
    _, state = big._places.of(Charge(TOKENS)).keys
    await log.fill([random.randint(1, 9) for _ in range(4_500)], step_ms=100)
    clock.ms += WINDOW_MS - 2_000
    log.leave()
    with newest_server.sync() as client:
        for damage in (lambda: client.delete(state), lambda: client.set(state, b"short")):
            damage()
            await log.check(5)
            assert client.pttl(state) > 0
            damage()
            await log.settle(len(log.times) - 5, 0)
            await log.check(5)
            damage()
            log.weights[len(log.times) - 5] = log.decisions[-5].windows[0].cost  # what was settled is reserved again
            await log.fill([random.randint(1, 9) for _ in range(100)])
            await log.check(5)


async def test_a_log_that_another_hand_removed_counts_until_it_would_have_left(
    big: Limiter, clock: Clock, newest_server: RedisServer
) -> None:
    log = Shadow(big, clock, TOKENS)
    await log.fill([3, 5, 8])
    with newest_server.sync() as client:
        client.delete(big._places.of(Charge(TOKENS)).keys[0])
    clock.ms += 1_000
    await log.fill([2])
    await big.settle(log.decisions[1], {"total_tokens": 1})  # its entry is gone, and its time with it
    found = (await big.peek([Charge(TOKENS)])).windows[0]
    assert (found.used, found.reset_after_s) == (18, 599.0)
    clock.ms += WINDOW_MS - 1_000
    log.leave()
    await log.check()


async def test_both_keys_removed_is_a_log_that_never_was(
    big: Limiter, clock: Clock, newest_server: RedisServer
) -> None:
    log = Shadow(big, clock, TOKENS)
    await log.fill([3, 5, 8])
    old = log.decisions[1]
    with newest_server.sync() as client:
        client.delete(*big._places.of(Charge(TOKENS)).keys)
    assert (await big.peek([Charge(TOKENS)])).windows[0].used == 0
    clock.ms += 1
    await big.acquire([Charge(TOKENS)])
    await big.acquire([Charge(TOKENS, cost=2)])
    await big.settle(old, {"total_tokens": 1})  # its place is another's now
    assert (await big.peek([Charge(TOKENS)])).windows[0].used == 3


async def test_a_long_backlog_leaves_in_strides(big: Limiter, clock: Clock, newest_server: RedisServer) -> None:
    log = Shadow(big, clock, REQUESTS)
    await log.fill([1] * 30_000)
    clock.ms += WINDOW_MS
    with newest_server.sync() as client:
        key = big._places.of(Charge(REQUESTS)).keys[0]
        kept = [client.xlen(key)]
        for _ in range(5):
            await asyncio.gather(*(big.acquire([Charge(REQUESTS)]) for _ in range(64)))
            kept.append(client.xlen(key))
    assert all(before - after <= 10_000 for before, after in pairwise(kept))
    assert kept[-1] < 600
