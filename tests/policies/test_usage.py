"""Finding windows and what they hold: every one, each once, a bounded piece at a time."""

from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from policies import usage as usage_module
from policies.connect import connect
from policies.entities import Unit
from policies.usage import CursorError, Usage, UsedWindow
from tests.policies.conftest import Clock
from tests.policies.redis_nodes import ClusterGroup
from tests.policies.redis_server import RedisServer, binaries


def policy(name: str, limit: int = 100, **fields: Any) -> RateLimitPolicy:
    return RateLimitPolicy(**{"name": name, "scope": "TENANT", "limit": limit, "window": "10s", **fields})


def of(*policies: RateLimitPolicy) -> Callable[[str], RateLimitPolicy | None]:
    return {each.name: each for each in policies}.get


async def everything(usage: Usage, *args: Any, **fields: Any) -> list[UsedWindow]:
    found: list[UsedWindow] = []
    cursor = None
    while True:
        page, cursor = await usage.page(*args, cursor=cursor, **fields)
        assert len(page) <= fields.get("limit", 50)
        found += page
        if cursor is None:
            return found


async def test_what_a_window_holds(limiter: Limiter, clock: Clock) -> None:
    tokens = policy("org/tokens.v1", unit="total_tokens")
    await limiter.acquire([Charge(tokens, "acme|model=a/b", 30, "tenant:acme")])
    clock.ms += 4_000
    (found,) = await everything(Usage(limiter), of(tokens))
    window = found.window
    assert (window.policy, window.scope, window.subject, window.unit) == (
        "org/tokens.v1",
        "TENANT",
        "acme|model=a/b",
        "total_tokens",
    )
    assert (window.limit, window.used, window.remaining, window.reset_after_s) == (100, 30, 70, 6.0)


async def test_by_tenant_and_by_policy(limiter: Limiter) -> None:
    one, other, slots = policy("one"), policy("one-more"), policy("slots", unit="concurrent_requests")
    for tenant in ("acme", "acme2", "globex"):
        for each in (one, other, slots):
            await limiter.acquire([Charge(each, tenant, 1, f"tenant:{tenant}")])
    known, usage = of(one, other, slots), Usage(limiter)

    def names(found: list[UsedWindow]) -> set[tuple[str, str]]:
        return {(each.window.policy, each.window.subject) for each in found}

    assert len(await everything(usage, known)) == 9
    acme = await everything(usage, known, tag="tenant:acme")
    assert names(acme) == {("one", "acme"), ("one-more", "acme"), ("slots", "acme")}
    assert len(names(await everything(usage, known, policy="one"))) == 3
    assert names(await everything(usage, known, tag="tenant:acme", policy="one")) == {("one", "acme")}
    assert await everything(usage, known, policy="on*") == []


async def test_pages_hold_each_window_once(limiter: Limiter, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_module, "KEYS_A_STEP", 20)
    monkeypatch.setattr(usage_module, "STEPS", 3)
    each, subjects = policy("p"), [f"t{n}" for n in range(200)]
    for subject in subjects:
        await limiter.acquire([Charge(each, subject, 1, f"tenant:{subject}")])
    await redis.mset({f"else:{n}": "x" for n in range(300)})
    for limit in (1, 7, 50, 1_000):
        found = await everything(Usage(limiter), of(each), limit=limit)
        assert sorted(used.window.subject for used in found) == sorted(subjects)


async def test_what_is_not_shown(limiter: Limiter, clock: Clock, redis: Redis) -> None:
    gone, changed, empty = policy("gone"), policy("changed"), policy("empty", window="3s")
    blocking = policy("block", 1, block={"denials": 1, "within": "1m", "duration": "1m"})
    for each in (gone, changed, empty, blocking):
        await limiter.acquire([Charge(each, "acme")])
    await limiter.acquire([Charge(blocking, "acme")])
    await redis.set("sluice:{tenant:acme}:!decision", "")
    await redis.set("sluicex{tenant:acme}:p:r:acme", "")
    clock.ms += 5_000
    tokens = policy("changed", unit="total_tokens")
    found = await everything(Usage(limiter), of(tokens, empty, blocking))
    assert [each.window.policy for each in found] == ["block"]


async def test_looking_leaves_no_trace(limiter: Limiter, server: RedisServer) -> None:
    blocking = policy("block", 1, block={"denials": 1, "within": "1m", "duration": "1m"})
    for _ in range(2):
        await limiter.acquire([Charge(blocking, "acme")])
    before = server.dump()
    ((window, _),) = [(e.window, e.shard) for e in await everything(Usage(limiter), of(blocking))]
    assert (window.used, window.remaining) == (1, 0)
    assert server.dump() == before


async def test_split_windows_are_told_by_part(limiter: Limiter) -> None:
    split = policy("all", 8, scope="GLOBAL", shards=4)
    for _ in range(5):
        await limiter.acquire([Charge(split)])
    found = sorted(await everything(Usage(limiter), of(split)), key=lambda each: each.shard or 0)
    assert [each.shard for each in found] == [0, 1, 2, 3]
    assert sum(each.window.used for each in found) == 5
    assert {each.window.limit for each in found} == {2}
    assert await everything(Usage(limiter), of(policy("all", 8, scope="GLOBAL"))) == []


@pytest.mark.parametrize("cursor", ["", "x", "[]", '["", "0"]', '["", 0, ""]', '["", "-1", ""]', "null", "7"])
async def test_a_cursor_of_nobodys(limiter: Limiter, cursor: str) -> None:
    with pytest.raises(CursorError):
        await Usage(limiter).page(of(), cursor=cursor)


async def test_on_every_node() -> None:
    cluster = ClusterGroup(next(iter(binaries().values())))
    try:
        client = connect(cluster.url)
        limiter = Limiter(client, deadline_s=5)
        each, usage = policy("p"), Usage(limiter)
        subjects = [f"t{n}" for n in range(60)]
        for subject in subjects:
            await limiter.acquire([Charge(each, subject, 1, f"tenant:{subject}")])
        for limit in (7, 1_000):
            found = await everything(usage, of(each), limit=limit)
            assert sorted(used.window.subject for used in found) == sorted(subjects)
        for subject in subjects[:10]:
            (one,) = await everything(usage, of(each), tag=f"tenant:{subject}")
            assert one.window.subject == subject
        found_logs, _ = await usage.find(unit=Unit.REQUESTS, limit=100)
        assert len(found_logs) == 60
        await limiter.close()
        await client.aclose()
    finally:
        cluster.close()
