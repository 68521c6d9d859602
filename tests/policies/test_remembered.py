"""Decisions that any process may settle: kept, given back once, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from policies import Charge, InvalidChargeError, Limiter, RateLimitPolicy
from policies.connect import connect
from policies.errors import StoreError, UnknownDecisionError
from policies.remembered import LONGEST_MS, NOTHING_RAN, SETTLED_MS, SHORTEST_MS, Remembered
from policies.settlement import Settlement
from tests.policies.conftest import Clock
from tests.policies.redis_nodes import ClusterGroup
from tests.policies.redis_server import RedisServer, binaries
from tests.policies.tcp_proxy import TcpProxy


def policy(name: str = "p", limit: int = 1_000, window: str = "10s", **fields: Any) -> RateLimitPolicy:
    return RateLimitPolicy(**{"name": name, "scope": "TENANT", "limit": limit, "window": window, **fields})


REQUESTS = policy("requests", 5)
TOKENS = policy("tokens", unit="total_tokens")
SLOTS = policy("slots", 2, unit="concurrent_requests", window="30s")
CHARGES = [Charge(REQUESTS, "acme"), Charge(TOKENS, "acme", 100), Charge(SLOTS, "acme")]


@pytest_asyncio.fixture
async def processes(redis: Redis, clock: Clock) -> AsyncIterator[list[Remembered]]:
    """Two processes that share nothing but Redis."""
    limiters = [Limiter(redis, deadline_s=5, steered_clock=clock) for _ in range(2)]
    settlements = [Settlement(limiter) for limiter in limiters]
    yield [Remembered(*each) for each in zip(limiters, settlements, strict=True)]
    for settlement, limiter in zip(settlements, limiters, strict=True):
        await settlement.close()
        await limiter.close()


async def used(limiter: Limiter) -> list[int]:
    return [window.used for window in (await limiter.peek(CHARGES)).windows]


async def test_another_process_settles_it(processes: list[Remembered], limiter: Limiter) -> None:
    here, there = processes
    decision = await here.acquire(CHARGES, "gate")
    assert await used(limiter) == [1, 100, 1]
    settled = await there.settle(decision.id, "gate", {"total_tokens": 30})
    assert (settled.first, settled.actual) == (True, {"total_tokens": 30})
    assert await used(limiter) == [1, 30, 0]


async def test_the_first_settlement_says_what_was_used(processes: list[Remembered], limiter: Limiter) -> None:
    here, there = processes
    decision = await here.acquire(CHARGES, "gate")
    await there.settle(decision.id, "gate", {"total_tokens": 30})
    for process in (here, there):
        again = await process.settle(decision.id, "gate", {"total_tokens": 900})
        assert (again.first, again.actual) == (False, {"total_tokens": 30})
    assert await used(limiter) == [1, 30, 0]


@pytest.mark.parametrize("left", [False, True], ids=["in its window", "gone from its window"])
async def test_use_beyond_the_reservation_is_logged_once(
    processes: list[Remembered], limiter: Limiter, clock: Clock, left: bool
) -> None:
    decision = await processes[0].acquire(CHARGES, "gate")
    if left:  # the entry cannot remember any more that it was settled
        clock.ms += 11_000
        await limiter.acquire([Charge(TOKENS, "acme", 5)])
    doubles = [process.settle(decision.id, "gate", {"total_tokens": 130}) for process in processes * 5]
    outcomes = await asyncio.gather(*doubles)
    assert sum(outcome.first for outcome in outcomes) == 1
    assert (await used(limiter))[1] == (5 + 30 if left else 130)


async def test_what_never_ran_was_never_asked(processes: list[Remembered], limiter: Limiter) -> None:
    decision = await processes[0].acquire(CHARGES, "gate")
    await processes[1].settle(decision.id, "gate", NOTHING_RAN)
    assert await used(limiter) == [0, 0, 0]


async def test_it_is_nobody_elses(processes: list[Remembered], limiter: Limiter) -> None:
    decision = await processes[0].acquire(CHARGES, "gate")
    for process in processes:
        with pytest.raises(UnknownDecisionError):
            await process.settle(decision.id, "other", NOTHING_RAN)
        with pytest.raises(UnknownDecisionError):
            await process.renew(decision.id, "other")
        with pytest.raises(UnknownDecisionError):
            await process.settle("no-such-id", "gate", NOTHING_RAN)
    assert await used(limiter) == [1, 100, 1]


async def test_a_denial_keeps_nothing(processes: list[Remembered], server: RedisServer) -> None:
    charge = [Charge(policy(limit=1), "acme")]
    await processes[0].acquire(charge, "gate")
    before = server.dump()
    denied = await processes[0].acquire(charge, "gate")
    assert not denied.allowed
    assert server.dump() == before
    with pytest.raises(UnknownDecisionError):
        await processes[0].settle(denied.id, "gate", {})


async def test_a_lease_is_renewed_from_elsewhere_until_it_is_given_back(
    processes: list[Remembered], limiter: Limiter, clock: Clock
) -> None:
    here, there = processes
    decision = await here.acquire(CHARGES, "gate")
    for _ in range(4):
        clock.ms += 20_000
        assert await there.renew(decision.id, "gate")
    assert (await used(limiter))[2] == 1
    await here.settle(decision.id, "gate", {})
    assert not await there.renew(decision.id, "gate")
    assert (await used(limiter))[2] == 0


async def test_a_lease_that_ran_out_is_not_renewed(processes: list[Remembered], clock: Clock) -> None:
    decision = await processes[0].acquire(CHARGES, "gate")
    clock.ms += 30_000
    assert not await processes[1].renew(decision.id, "gate")


@pytest.mark.parametrize(
    ("window", "kept_ms"), [("10s", SHORTEST_MS), ("30m", 1_800_000), ("31d", LONGEST_MS)], ids=["short", "30m", "long"]
)
async def test_how_long_it_is_kept(processes: list[Remembered], server: RedisServer, window: str, kept_ms: int) -> None:
    def left_ms() -> int:
        with server.sync() as client:
            return client.pttl(f"sluice:{{decision:{decision.id}}}")

    decision = await processes[0].acquire([Charge(policy(window=window), "acme")], "gate")
    assert kept_ms - 5_000 < left_ms() <= kept_ms
    with server.sync() as client:
        client.pexpire(f"sluice:{{decision:{decision.id}}}", 1_000)
    await processes[1].renew(decision.id, "gate")
    assert kept_ms - 5_000 < left_ms() <= kept_ms
    await processes[1].settle(decision.id, "gate", {})
    assert SETTLED_MS - 5_000 < left_ms() <= SETTLED_MS
    await processes[1].settle(decision.id, "gate", {})
    with server.sync() as client:
        assert all(client.pttl(key) > 0 for key in client.scan_iter())


async def test_split_windows_and_editing_meanwhile(processes: list[Remembered], limiter: Limiter) -> None:
    split = policy("all", 8, scope="GLOBAL", shards=4, unit="total_tokens")
    decision = await processes[0].acquire([Charge(split, "", 2)], "gate")
    await processes[1].settle(decision.id, "gate", {"total_tokens": 0})
    parts = [(await limiter.peek([Charge(split, "", 1, None, part)])).windows[0].used for part in range(4)]
    assert parts == [0, 0, 0, 0]


async def test_a_wrong_use_settles_nothing(processes: list[Remembered], limiter: Limiter) -> None:
    decision = await processes[0].acquire(CHARGES, "gate")
    with pytest.raises(InvalidChargeError):
        await processes[0].settle(decision.id, "gate", {"total_tokens": -1})
    assert (await processes[0].settle(decision.id, "gate", {"total_tokens": 7})).first


# Failures -----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def far(server: RedisServer, clock: Clock) -> AsyncIterator[tuple[Remembered, TcpProxy]]:
    """A process whose Redis is behind a proxy."""
    proxy = TcpProxy(server.socket)
    redis = Redis(host="127.0.0.1", port=await proxy.start())
    limiter = Limiter(redis, deadline_s=0.2, steered_clock=clock)
    settlement = Settlement(limiter)
    yield Remembered(limiter, settlement), proxy
    await settlement.close()
    await limiter.close()
    await redis.aclose()
    await proxy.close()


async def test_an_answer_that_was_lost_is_no_second_settlement(
    processes: list[Remembered],
    limiter: Limiter,
    far: tuple[Remembered, TcpProxy],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remembered, proxy = far
    known = await processes[0].acquire([Charge(TOKENS, "globex")], "gate")
    await remembered.settle(known.id, "gate", NOTHING_RAN)  # Redis knows the scripts
    decision = await processes[0].acquire(CHARGES, "gate")
    clock.ms += 11_000  # what it reserved is gone: only the marker knows that the use beyond was logged
    await limiter.acquire([Charge(TOKENS, "acme", 5)])
    recall = remembered._recall

    async def recall_and_break(*args: Any) -> Any:
        found = await recall(*args)
        proxy.swallow = True
        return found

    monkeypatch.setattr(remembered, "_recall", recall_and_break)
    with pytest.raises(StoreError):
        await remembered.settle(decision.id, "gate", {"total_tokens": 130})
    assert await used(limiter) == [0, 35, 0]  # it did arrive
    again = await processes[1].settle(decision.id, "gate", {"total_tokens": 500})
    assert (again.first, again.actual) == (False, {"total_tokens": 130})
    assert await used(limiter) == [0, 35, 0]


async def test_what_cannot_be_kept_is_taken_back(
    far: tuple[Remembered, TcpProxy], limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered, proxy = far
    acquire = remembered._limiter.acquire

    async def acquire_and_break(*args: Any) -> Any:
        decision = await acquire(*args)
        proxy.swallow = True
        return decision

    monkeypatch.setattr(remembered._limiter, "acquire", acquire_and_break)
    with pytest.raises(StoreError):
        await remembered.acquire(CHARGES, "gate")
    proxy.swallow = False
    await remembered._settlement.close()
    assert await used(limiter) == [0, 0, 0]


async def test_a_caller_that_leaves_holds_nothing(
    far: tuple[Remembered, TcpProxy], limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered, proxy = far
    acquire, admitted = remembered._limiter.acquire, asyncio.Event()

    async def acquire_and_slow_down(*args: Any) -> Any:
        decision = await acquire(*args)
        proxy.delay_s = 0.1
        admitted.set()
        return decision

    monkeypatch.setattr(remembered._limiter, "acquire", acquire_and_slow_down)
    asking = asyncio.create_task(remembered.acquire(CHARGES, "gate"))
    await admitted.wait()
    await asyncio.sleep(0.02)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    proxy.delay_s = 0
    await remembered._settlement.close()
    assert await used(limiter) == [0, 0, 0]


async def test_decisions_made_without_redis_are_settled_where_they_were_made(
    far: tuple[Remembered, TcpProxy], processes: list[Remembered]
) -> None:
    remembered, proxy = far
    proxy.refuse = True
    local = [Charge(policy(limit=1, unit="concurrent_requests", on_redis_failure="local"), "acme")]
    decision = await remembered.acquire(local, "gate")
    assert (decision.allowed, decision.degraded) == (True, True)
    assert not (await remembered.acquire(local, "gate")).allowed
    assert await remembered.renew(decision.id, "gate")
    with pytest.raises(UnknownDecisionError):
        await processes[0].settle(decision.id, "gate", {})
    assert [(await remembered.settle(decision.id, "gate", {})).first for _ in range(2)] == [True, False]
    assert not await remembered.renew(decision.id, "gate")
    assert (await remembered.acquire(local, "gate")).allowed


async def test_over_several_nodes() -> None:
    cluster = ClusterGroup(next(iter(binaries().values())))
    try:
        client = connect(cluster.url)
        limiter = Limiter(client, deadline_s=5)
        settlement = Settlement(limiter)
        charges = [Charge(policy(f"p{n}", unit="total_tokens"), "x", 10, f"slot{n}") for n in range(12)]
        remembered = Remembered(limiter, settlement)
        decision = await remembered.acquire(charges, "gate")
        assert decision.allowed
        other = Remembered(limiter, settlement)
        for actual in (25, 99):
            await other.settle(decision.id, "gate", {"total_tokens": actual})
            assert {window.used for window in (await limiter.peek(charges)).windows} == {25}
        await settlement.close()
        await limiter.close()
        await client.aclose()
    finally:
        cluster.close()
