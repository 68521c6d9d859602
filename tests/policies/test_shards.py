"""A window split into parts: never over, and how early it denies."""

import random
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from policies import Charge, CostExceedsLimitError, InvalidChargeError, Limiter, RateLimitPolicy
from policies.entities import MAX_SHARDS
from policies.shards import Shards
from tests.policies.conftest import Clock


def split(limit: int, shards: int, **fields: Any) -> RateLimitPolicy:
    return RateLimitPolicy(
        **{"name": "p", "scope": "GLOBAL", "limit": limit, "window": "10s", "shards": shards, **fields}
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scope": "TENANT"}, "only a GLOBAL window can be split"),
        ({"unit": "concurrent_requests"}, "concurrent_requests cannot be split"),
        ({"limit": 3}, "4 parts of a limit of 3 leave some with nothing"),
        ({"shards": 0}, "greater than or equal to 1"),
        ({"shards": MAX_SHARDS + 1}, "less than or equal to 64"),
    ],
)
def test_what_cannot_be_split_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        split(**{"limit": 100, "shards": 4, **fields})


def test_the_parts_are_the_limit() -> None:
    policy = split(11, 4)
    assert [policy.limit_of(shard) for shard in range(4)] == [3, 3, 3, 2]


@pytest.mark.parametrize(("limit", "shards"), [(11, 4), (64, 64), (10, 3), (8, 1)])
async def test_one_process_uses_all_of_the_limit(limiter: Limiter, limit: int, shards: int) -> None:
    """Going round, one process fills every part before any request is denied, and all of it again later."""
    policy = split(limit, shards)
    for _ in range(3):
        decisions = [await limiter.acquire([Charge(policy)]) for _ in range(limit)]
        assert all(decision.allowed for decision in decisions)
        denied = await limiter.acquire([Charge(policy)])
        assert (denied.allowed, denied.denied_by, denied.retry_after_s) == (False, "p", 10.0)
        limiter._steered_clock.ms += 10_000  # type: ignore[union-attr]


async def test_what_is_said_is_said_of_one_part(limiter: Limiter, redis: Any) -> None:
    policy = split(9, 3, unit="total_tokens")
    first = await limiter.acquire([Charge(policy, cost=2)])
    second = await limiter.acquire([Charge(policy, cost=3)])
    assert [(w.limit, w.used, w.remaining) for d in (first, second) for w in d.windows] == [(3, 2, 1), (3, 3, 0)]
    await limiter.cancel(second)
    await limiter.settle(first, {"total_tokens": 1})
    parts = [await limiter.peek([Charge(policy, shard=n)]) for n in range(3)]
    assert sorted(decision.windows[0].used for decision in parts) == [0, 0, 1]
    tags = {key.split(b"}")[0] for key in await redis.keys()}
    assert len(tags) == 2  # a hash tag each: on a Cluster they are on different nodes


async def test_more_than_a_part_can_hold_never_fits(limiter: Limiter) -> None:
    policy = split(11, 4, unit="total_tokens")
    for _ in range(3):  # three parts hold 3
        assert (await limiter.acquire([Charge(policy, cost=3)])).allowed
    assert not (await limiter.acquire([Charge(policy, cost=3)])).allowed
    with pytest.raises(CostExceedsLimitError, match="never allows more than 3"):
        await limiter.acquire([Charge(policy, cost=4)])


@pytest.mark.parametrize(("shards", "shard"), [(4, 4), (4, -1), (1, 0)])
async def test_a_part_that_there_is_not_is_refused(limiter: Limiter, shards: int, shard: int) -> None:
    with pytest.raises(InvalidChargeError, match="leave it to the limiter"):
        await limiter.acquire([Charge(split(8, shards), shard=shard)])


async def test_looking_does_not_turn_the_round(limiter: Limiter) -> None:
    policy = split(10, 2)
    for _ in range(6):
        await limiter.peek([Charge(policy)])
        await limiter.acquire([Charge(policy)])
    used = [(await limiter.peek([Charge(policy, shard=n)])).windows[0].used for n in range(2)]
    assert used == [3, 3]


@pytest.mark.parametrize(("processes", "shards", "limit"), [(1, 8, 80), (3, 4, 40), (8, 8, 400), (8, 16, 160)])
def test_how_early_the_first_denial_comes(processes: int, shards: int, limit: int) -> None:
    """Requests of equal cost: two parts differ by at most one for each process that goes round, so when the first is
    full, the others lack at most (parts - 1) * processes together."""
    policy = split(limit, shards)
    clock = Clock()
    for seed in range(200):
        rng, rounds = random.Random(seed), [Shards(clock) for _ in range(processes)]
        held: Counter[int] = Counter()
        while True:
            shard = rng.choice(rounds).choose(Charge(policy), advance=True).shard
            assert shard is not None
            if held[shard] == policy.limit_of(shard):
                break
            held[shard] += 1
        assert sum(held.values()) >= limit - (shards - 1) * processes


@pytest.mark.parametrize(
    ("processes", "shards", "limit", "load", "at_most"),
    [(1, 4, 400, 0.9, 0.0), (4, 8, 800, 0.9, 0.01), (8, 8, 400, 0.9, 0.02), (8, 8, 400, 1.5, 0.05)],
)
def test_how_often_it_denies_early(processes: int, shards: int, limit: int, load: float, at_most: float) -> None:
    """Simulated: arrivals at random, at a share of the limit. How much less than the whole window it admits."""
    policy, window = split(limit, shards), 10_000
    clock, rng = Clock(0), random.Random(1)
    rounds = [Shards(clock) for _ in range(processes)]
    whole: list[float] = []
    parts: list[list[float]] = [[] for _ in range(shards)]
    admitted = [0, 0]
    while clock.ms < 20 * window:
        clock.ms += rng.expovariate(load * limit / window)  # type: ignore[assignment]
        turn = rng.choice(rounds)
        charge = turn.choose(Charge(policy), advance=True)
        assert charge.shard is not None
        for which, (log, room) in enumerate([(whole, limit), (parts[charge.shard], policy.limit_of(charge.shard))]):
            log[:] = [at for at in log if at > clock.ms - window]
            fits = len(log) < room
            if fits:
                log.append(clock.ms)
                admitted[which] += 1
            if log is not whole and len(log) == room:
                turn._round(policy, "").full_until[charge.shard] = (log[0] + window) / 1000
    early = 1 - admitted[1] / admitted[0]
    print(f"{processes} processes, {shards} parts of {limit}, load {load}: {early:.2%} fewer")
    assert early <= at_most
