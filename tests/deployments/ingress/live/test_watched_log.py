"""The followed window between ticks: what changed is told once, and what may have been missed is told anew."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from deployments.ingress.live.watched_log import WatchedLog
from policies import Charge, Limiter, RateLimitPolicy
from tests.policies.redis_server import RedisServer

POLICY = RateLimitPolicy(name="p", scope="TENANT", limit=10, window="1m")
CHARGE = Charge(POLICY, "acme", 1, "tenant:acme")


@pytest.fixture
async def limiter(own_redis: RedisServer) -> AsyncIterator[Limiter]:
    redis = Redis(unix_socket_path=own_redis.socket)
    made = Limiter(redis, deadline_s=5)
    yield made
    await made.close()
    await redis.aclose()


async def test_a_log_that_is_another_after_redis_was_away_is_told_anew(
    limiter: Limiter, own_redis: RedisServer
) -> None:
    log = WatchedLog(limiter, CHARGE, 100)
    for _ in range(2):
        await limiter.acquire([CHARGE])
    await log.look(0.0, known=True)
    first = log.news(beat=False)
    assert first is not None
    assert (first["fresh"], len(first["entries"])) == (True, 2)
    own_redis.kill()
    await log.look(1.0, known=True)
    assert log.window is None
    assert log.news(beat=True) is None
    own_redis.start()
    other_redis = Redis(unix_socket_path=own_redis.socket)
    other = Limiter(other_redis, deadline_s=5)
    for _ in range(3):
        await other.acquire([CHARGE])
    await other.close()
    await other_redis.aclose()
    while log.window is None:
        await log.look(2.0, known=False)
    again = log.news(beat=False)
    assert again is not None
    assert (again["fresh"], len(again["entries"]), again["window"]["used"]) == (True, 3, 3)


async def test_what_a_tick_missed_of_its_news_has_the_log_told_anew(limiter: Limiter) -> None:
    log = WatchedLog(limiter, CHARGE, 100)
    await limiter.acquire([CHARGE])
    await log.look(0.0, known=True)
    await log.look(0.1, known=False)
    told = log.news(beat=False)
    assert told is not None
    assert (told["fresh"], len(told["entries"])) == (True, 1)


async def test_nothing_is_told_where_nothing_changed(limiter: Limiter) -> None:
    log = WatchedLog(limiter, CHARGE, 100)
    await limiter.acquire([CHARGE])
    await log.look(0.0, known=True)
    for viewers in range(2):
        assert log.news(beat=False) is not None, f"{viewers}: each scope is told"
    await log.look(0.1, known=True)
    assert log.news(beat=False) is None
    beat = log.news(beat=True)
    assert beat is not None
    assert (beat["fresh"], beat["entries"]) == (False, [])
    everything = log.everything()
    assert everything is not None
    assert (everything["fresh"], len(everything["entries"])) == (True, 1)
    log.use(RateLimitPolicy(name="p", scope="TENANT", limit=11, window="1m"))
    await log.look(0.2, known=True)
    edited = log.news(beat=False)
    assert edited is not None
    assert edited["window"]["limit"] == 11


async def test_a_profile_is_kept_for_those_who_come_between_two(limiter: Limiter) -> None:
    log = WatchedLog(limiter, CHARGE, 4)
    for _ in range(5):
        await limiter.acquire([CHARGE])
    await log.look(0.0, known=True)
    told = log.news(beat=False)
    assert told is not None
    assert sum(told["profile"]["counts"]) == 5
    await log.look(0.1, known=True)
    assert log.news(beat=False) is None, "counted twice a second"
    everything = log.everything()
    assert everything is not None
    assert everything["profile"] == told["profile"]
    await limiter.acquire([CHARGE])
    await log.look(0.6, known=True)
    later = log.news(beat=False)
    assert later is not None
    assert sum(later["profile"]["counts"]) == 6
