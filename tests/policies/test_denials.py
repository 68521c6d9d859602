"""Denials that are shared: whoever waits together is answered together, and nobody is denied what Redis would allow."""

import asyncio
import random

from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from tests.policies.conftest import Clock
from tests.policies.redis_server import RedisServer


def policy(limit: int, **fields: str) -> RateLimitPolicy:
    return RateLimitPolicy(name="p", scope="TENANT", limit=limit, window="1m", **fields)


def scripts_run(server: RedisServer) -> int:
    with server.sync() as client:
        return int(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


async def test_a_flood_of_denials_costs_redis_little(redis: Redis, server: RedisServer) -> None:
    limiter, charge = Limiter(redis, deadline_s=10), Charge(policy(3))
    for _ in range(3):
        await limiter.acquire([charge])
    before = scripts_run(server)

    async def client() -> None:
        for _ in range(200):
            assert not (await limiter.acquire([charge])).allowed

    await asyncio.gather(*(client() for _ in range(64)))
    assert (scripts_run(server) - before) / (64 * 200) <= 0.05
    await limiter.close()


async def test_what_is_given_back_elsewhere_is_there_at_once(redis: Redis, server: RedisServer) -> None:
    other_client = Redis(unix_socket_path=server.socket)
    here, elsewhere = Limiter(redis, deadline_s=10), Limiter(other_client, deadline_s=10)
    charge = Charge(policy(5))
    held = [await elsewhere.acquire([charge]) for _ in range(5)]
    for free in range(1, 6):
        assert not any(
            decision.allowed for decision in await asyncio.gather(*(here.acquire([charge]) for _ in range(20)))
        )
        for _ in range(free):
            await elsewhere.cancel(held.pop())
        decisions = await asyncio.gather(*(here.acquire([charge]) for _ in range(20)))
        assert sum(decision.allowed for decision in decisions) == free
        assert len({decision.id for decision in decisions}) == 20
        held += [decision for decision in decisions if decision.allowed]
        held += [decision async for decision in _fill(elsewhere, charge, 5 - len(held))]
    await here.close()
    await elsewhere.close()
    await other_client.aclose()


async def _fill(limiter: Limiter, charge: Charge, count: int):  # type: ignore[no-untyped-def] # an async generator
    for _ in range(count):
        yield await limiter.acquire([charge])


async def test_a_smaller_or_another_request_does_not_share(limiter: Limiter) -> None:
    tokens = policy(100, unit="total_tokens")
    await limiter.acquire([Charge(tokens, cost=60)])
    large, small, other = Charge(tokens, cost=50), Charge(tokens, cost=20), Charge(tokens, "other", cost=50)
    for _ in range(2):
        assert not (await limiter.acquire([large])).allowed
    asked = await asyncio.gather(*(limiter.acquire([charge]) for charge in (large, large, small, large, other, large)))
    assert [decision.allowed for decision in asked] == [False, False, True, False, True, False]


async def test_a_raised_limit_counts_at_once(limiter: Limiter) -> None:
    await limiter.acquire([Charge(policy(1))])
    for _ in range(3):
        assert not (await limiter.acquire([Charge(policy(1))])).allowed
    asked = [limiter.acquire([Charge(policy(limit))]) for limit in (1, 2, 1)]
    assert [decision.allowed for decision in await asyncio.gather(*asked)] == [False, True, False]


async def test_a_caller_that_leaves_takes_nobody_with_it(limiter: Limiter, clock: Clock) -> None:
    charge = Charge(policy(1))
    await limiter.acquire([charge])
    assert not (await limiter.acquire([charge])).allowed
    tasks = [asyncio.create_task(limiter.acquire([charge])) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks[:3]:
        task.cancel()
    assert [decision.allowed for decision in await asyncio.gather(*tasks[3:])] == [False] * 7


async def test_any_mix_is_answered_as_though_one_by_one(redis: Redis, clock: Clock) -> None:
    """Concurrent callers share; a limiter that asks alone, and of the same window, must never find more room."""
    random.seed(3)
    limiter = Limiter(redis, deadline_s=10, steered_clock=clock)
    p = policy(10)
    held = []
    for _ in range(150):
        clock.ms += random.choice((0, 1, 5_000, 20_000))
        callers = random.randint(1, 30)
        room = (await limiter.peek([Charge(p)])).windows[0].remaining
        decisions = await asyncio.gather(*(limiter.acquire([Charge(p)]) for _ in range(callers)))
        assert sum(decision.allowed for decision in decisions) == min(room, callers)
        held += [decision for decision in decisions if decision.allowed]
        random.shuffle(held)
        while held and random.random() < 0.4:
            await limiter.cancel(held.pop())
    await limiter.close()
