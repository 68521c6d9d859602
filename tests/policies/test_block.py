"""`block`: who is denied too often is denied outright for a time. Shadow policies: what they would have denied."""

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError
from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from policies.http import denying, wait_s
from tests.policies.redis_server import RedisServer


def policy(name: str = "burst", **fields: Any) -> RateLimitPolicy:
    block = {"denials": 3, "within": "10s", "duration": "600ms"}
    return RateLimitPolicy(**{"name": name, "scope": "TENANT", "limit": 1, "window": "200ms", "block": block, **fields})


@pytest.fixture
async def limiter(server: RedisServer) -> Any:
    redis = Redis(unix_socket_path=server.socket)
    made = Limiter(redis, deadline_s=5)
    yield made
    await made.close()
    await redis.aclose()


async def test_denied_three_times_then_outright(limiter: Limiter) -> None:
    charge = Charge(policy(), "acme")
    assert (await limiter.acquire([charge])).allowed
    waits = [(await limiter.acquire([charge])).retry_after_s for _ in range(3)]
    assert waits[0] <= 0.2
    assert waits[1] <= 0.2
    assert waits[2] == 0.6, "the third denial begins the block, and says how long it lasts"
    await asyncio.sleep(0.25)  # there is room again
    blocked = await limiter.acquire([charge])
    assert not blocked.allowed
    assert blocked.denied_by == "burst"
    assert 0.2 < blocked.retry_after_s <= 0.35
    assert wait_s(denying(blocked)) == blocked.retry_after_s, "what HTTP tells is the time that is left"
    await asyncio.sleep(blocked.retry_after_s + 0.002)
    assert (await limiter.acquire([charge])).allowed


async def test_another_process_is_told_as_well(limiter: Limiter, server: RedisServer) -> None:
    charge = Charge(policy(), "acme")
    for _ in range(4):
        await limiter.acquire([charge])
    await asyncio.sleep(0.25)
    redis = Redis(unix_socket_path=server.socket)
    other = Limiter(redis, deadline_s=5)
    assert not (await other.acquire([charge])).allowed
    assert (await other.acquire([Charge(policy(), "globex")])).allowed, "others are not blocked"
    await other.close()
    await redis.aclose()


async def test_a_block_costs_redis_nothing(limiter: Limiter, server: RedisServer) -> None:
    charge = Charge(policy(block={"denials": 3, "within": "10s", "duration": "1m"}), "acme")
    for _ in range(4):
        await limiter.acquire([charge])
    with server.sync() as client:
        before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        for _ in range(200):
            denied = await limiter.acquire([charge])
            assert not denied.allowed
            assert 50 < denied.retry_after_s <= 60
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before


async def test_denials_that_are_apart_do_not_add_up(limiter: Limiter) -> None:
    charge = Charge(policy(block={"denials": 2, "within": "150ms", "duration": "1m"}), "acme")
    for _ in range(3):
        assert (await limiter.acquire([charge])).allowed
        assert (await limiter.acquire([charge])).retry_after_s <= 0.2
        await asyncio.sleep(0.25)


async def test_only_the_policy_that_denies_counts(limiter: Limiter) -> None:
    roomy, tight = policy("roomy", limit=100), policy("tight", block=None, window="1m")
    for _ in range(6):
        denied = await limiter.acquire([Charge(roomy, "acme"), Charge(tight, "acme")])
    assert denied.denied_by == "tight"
    assert (await limiter.acquire([Charge(roomy, "acme")])).allowed


async def test_every_denial_counts_also_of_many_at_once(limiter: Limiter) -> None:
    charge = Charge(policy(block={"denials": 30, "within": "10s", "duration": "1m"}), "acme")
    decisions = await asyncio.gather(*(limiter.acquire([charge]) for _ in range(32)))
    assert sum(d.allowed for d in decisions) == 1
    assert sum(d.retry_after_s == 60 for d in decisions) >= 1


async def test_a_peek_neither_counts_nor_begins_a_block(limiter: Limiter) -> None:
    charge = Charge(policy(), "acme")
    await limiter.acquire([charge])
    for _ in range(10):
        assert (await limiter.peek([charge])).retry_after_s <= 0.2


async def test_slots_can_be_blocked_too(limiter: Limiter) -> None:
    charge = Charge(policy(unit="concurrent_requests", window="10s"), "acme")
    held = await limiter.acquire([charge])
    for _ in range(3):
        await limiter.acquire([charge])
    await limiter.cancel(held)
    assert not (await limiter.acquire([charge])).allowed


async def test_shadow_counts_what_it_would_have_denied_and_blocks_nobody(limiter: Limiter) -> None:
    charge = Charge(policy("trial", mode="shadow"), "acme")
    decisions = [await limiter.acquire([charge]) for _ in range(6)]
    assert all(decision.allowed for decision in decisions)
    assert [decision.windows[0].fits for decision in decisions] == [True] + [False] * 5
    assert limiter.would_have_denied == {"trial": 5}


def test_a_block_needs_all_of_its_fields() -> None:
    with pytest.raises(ValidationError, match="duration"):
        policy(block={"denials": 3, "within": "10s"})
