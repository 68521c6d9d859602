"""Messages through Redis: kept for a short while, read once, and none while nobody reads."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from deployments.ingress.live import channel as module
from deployments.ingress.live.channel import Channel
from policies import Limiter
from tests.policies.redis_server import RedisServer


@pytest.fixture
async def limiter(redis_server: RedisServer) -> AsyncIterator[Limiter]:
    redis = Redis(unix_socket_path=redis_server.socket)
    await redis.flushall()
    made = Limiter(redis, deadline_s=5)
    yield made
    await made.close()
    await redis.aclose()


async def test_messages_are_heard_once_and_in_order(limiter: Limiter) -> None:
    one, other = Channel(limiter), Channel(limiter)
    assert not (await one.tell({"n": 0}))[0]
    assert (await other.hear()).messages == []
    for number in range(1, 4):
        watched, now_ms = await one.tell({"n": number})
        assert watched
    heard = await other.hear()
    assert [message for _, message in heard.messages] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert heard.messages[-1][0] == now_ms <= heard.now_ms
    assert (await other.hear()).messages == []
    await one.tell({"n": 4})
    other.leave()
    assert (await other.hear()).messages == [], "what was told before it came is passed over"


async def test_only_so_many_messages_are_kept_and_read_at_once(
    limiter: Limiter, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_MESSAGES", 150)
    monkeypatch.setattr(module, "HEARD_AT_ONCE", 40)
    channel = Channel(limiter)
    await channel.hear()
    for number in range(500):
        await channel.tell({"n": number})
    with redis_server.sync() as redis:
        assert 150 <= redis.xlen("sluice:{live}:news") < 260, "whole nodes of 100 entries are trimmed"
        assert 0 < redis.pttl("sluice:{live}:news") <= module.KEPT_MS
    heard = [len((await channel.hear()).messages) for _ in range(8)]
    assert max(heard) == 40
    assert heard[-1] == 0


async def test_the_mark_of_those_who_watch_ends_by_itself(limiter: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WATCH_MS", 50)
    channel = Channel(limiter)
    await channel.hear()
    assert (await channel.tell(None))[0]
    async with asyncio.timeout(5):
        while (await channel.tell(None))[0]:
            await asyncio.sleep(0.01)
    assert not (await channel.tell({"n": 1}))[0]
    assert (await channel.hear()).messages == [], "what was told to nobody was not kept"


async def test_a_clock_that_went_back_hides_nothing(limiter: Limiter, redis_server: RedisServer) -> None:
    channel = Channel(limiter)
    await channel.hear()
    channel._after = b"99999999999999-0"
    await channel.hear()
    await channel.tell({"n": 1})
    assert [message for _, message in (await channel.hear()).messages] == [{"n": 1}]
