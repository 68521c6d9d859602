"""Following a log: what the looks tell, put together, is what the log holds; and the window is what a peek says."""

import random
from itertools import pairwise
from typing import Any

import pytest
from redis.asyncio import Redis

from policies import Charge, Decision, Limiter, RateLimitPolicy
from policies.following import LogFollower, Look
from tests.policies.conftest import Clock

WINDOW_MS = 5_000
REQUESTS = RateLimitPolicy(name="r", scope="TENANT", limit=60, window="5s")
TOKENS = RateLimitPolicy(name="t", scope="TENANT", unit="total_tokens", limit=300, window="5s")


class Mirror:
    """What a viewer knows who puts the looks together."""

    def __init__(self) -> None:
        self.entries: dict[int, tuple[int, int]] = {}

    def take(self, look: Look, window_ms: int) -> None:
        if look.fresh:
            self.entries.clear()
        for at_ms, ordinal, cost in look.entries:
            assert ordinal not in self.entries, "told twice"
            self.entries[ordinal] = (at_ms, cost)
        for ordinal, cost in look.changed:
            assert self.entries[ordinal][1] != cost, "no change"
            self.entries[ordinal] = (self.entries[ordinal][0], cost)
        self.entries = {n: entry for n, entry in self.entries.items() if entry[0] + window_ms > look.at_ms}

    @property
    def used(self) -> int:
        return sum(cost for _, cost in self.entries.values())


def follower(limiter: Limiter, clock: Clock, policy: RateLimitPolicy, **settings: Any) -> LogFollower:
    return LogFollower(limiter, policy, "acme", None, **{"most": 2_000, "steered_ms": clock.ms, **settings})


async def looked(one: LogFollower, clock: Clock) -> Look:
    one.steered_ms = clock.ms
    return await one.look(2.0)


@pytest.mark.parametrize("policy", [REQUESTS, TOKENS], ids=["requests", "tokens"])
@pytest.mark.parametrize("seed", range(6))
async def test_looks_put_together_are_the_log(
    limiter: Limiter, clock: Clock, redis: Redis, policy: RateLimitPolicy, seed: int
) -> None:
    chance, mirror, one = random.Random(seed), Mirror(), follower(limiter, clock, policy)
    running: list[tuple[Decision, int]] = []
    fresh = 0
    for _ in range(400):
        clock.ms += chance.choice([0, 0, 1, 7, 40, 40, 90, 900])
        match chance.randrange(6):
            case 0 | 1 | 2:
                cost = 1 if policy is REQUESTS else chance.randrange(1, 40)
                decision = await limiter.acquire([Charge(policy, "acme", cost)])
                if decision.allowed:
                    running.append((decision, cost))
            case 3 if running:
                decision, cost = running.pop(chance.randrange(len(running)))
                await limiter.settle(decision, {"total_tokens": chance.choice([0, cost // 2, cost, cost + 3])})
            case 4 if running:
                await limiter.cancel(running.pop(chance.randrange(len(running)))[0])
            case _:
                pass
        if chance.random() < 0.6:
            look = await looked(one, clock)
            mirror.take(look, WINDOW_MS)
            fresh += look.fresh
            (window,) = (await limiter.peek([Charge(policy, "acme", 1)])).windows
            assert look.window == window
            assert mirror.used == window.used
            live = await redis.xrange("sluice:{TENANT:acme}:" + ("r:r" if policy is REQUESTS else "t:t") + ":acme")
            times = {int(n): int(ms) for ms, n in (entry.decode().split("-") for entry, _ in live)}
            assert {n: at_ms for n, (at_ms, _) in mirror.entries.items()}.items() <= times.items()
            counted = {n for n, (_, cost) in mirror.entries.items() if cost}
            assert {n for n, at_ms in times.items() if at_ms + WINDOW_MS > clock.ms} >= counted
            assert {n: cost for _, n, cost in one.everything() if cost} == {
                n: cost for n, (_, cost) in mirror.entries.items() if cost
            }
    assert fresh == 1, "only the first look tells all of it"


async def test_a_log_with_too_many_entries_is_told_as_a_profile(limiter: Limiter, clock: Clock, redis: Redis) -> None:
    policy = RateLimitPolicy(name="r", scope="TENANT", limit=10_000, window="5s")
    chance = random.Random(5)
    one = follower(limiter, clock, policy, most=100, spans=40)
    modes, mirror = [], Mirror()
    for step in range(120):
        clock.ms += chance.randrange(60) if step < 60 else 150
        for _ in range(chance.randrange(8) if step < 60 else 0):
            await limiter.acquire([Charge(policy, "acme")])
        look = await looked(one, clock)
        assert look.window == (await limiter.peek([Charge(policy, "acme")])).windows[0]
        modes.append("profile" if look.profile else "entries")
        if look.profile is None:
            mirror.take(look, WINDOW_MS)
            assert mirror.used == look.window.used
            assert len(mirror.entries) <= 100
            continue
        assert not look.entries
        profile = look.profile
        assert profile.span_ms == 125
        assert profile.from_ms % 125 == 0
        times = [int(entry.decode().split("-")[0]) for entry, _ in await redis.xrange("sluice:{TENANT:acme}:r:r:acme")]
        counted = [at_ms for at_ms in times if at_ms + WINDOW_MS > clock.ms]
        expected = [
            sum(begin <= at_ms < begin + 125 for at_ms in counted)
            for begin in range(profile.from_ms, clock.ms + 1, 125)
        ]
        assert list(profile.counts) == expected
        assert sum(expected) == look.window.used
    switches = [(a, b) for a, b in pairwise(modes) if a != b]
    assert switches == [("entries", "profile"), ("profile", "entries")], "and does not flutter"


async def test_a_log_at_the_border_does_not_flutter(limiter: Limiter, clock: Clock) -> None:
    one = follower(limiter, clock, REQUESTS, most=10)
    modes = []
    for _ in range(11):
        await limiter.acquire([Charge(REQUESTS, "acme")])
        clock.ms += 100
    for _ in range(8):
        look = await looked(one, clock)
        modes.append((look.window.used, look.profile is not None))
        clock.ms += 100 if len(modes) > 1 else WINDOW_MS - 1_100
    assert modes == [(11, True), (10, True), (9, True), *((used, False) for used in (8, 7, 6, 5, 4))]


async def test_what_was_taken_back_at_the_head_is_in_no_span(limiter: Limiter, clock: Clock) -> None:
    policy = RateLimitPolicy(name="r", scope="TENANT", limit=100, window="5s")
    decisions = []
    for _ in range(30):
        decisions.append(await limiter.acquire([Charge(policy, "acme")]))
        clock.ms += 50
    for decision in decisions[:12]:
        await limiter.cancel(decision)
    look = await looked(follower(limiter, clock, policy, most=10, spans=100), clock)
    assert look.profile is not None
    assert min(look.profile.counts) == 0
    assert sum(look.profile.counts) == look.window.used == 18


async def test_a_profile_is_told_only_where_it_is_asked_for(limiter: Limiter, clock: Clock) -> None:
    for _ in range(12):
        await limiter.acquire([Charge(REQUESTS, "acme")])
    one = follower(limiter, clock, REQUESTS, most=10)
    look = await one.look(2.0, profile=False)
    assert look.profile is None
    assert not look.entries
    assert one.crowded
    assert look.window.used == 12
    assert (await one.look(2.0)).profile is not None


async def test_a_log_that_began_anew_is_told_anew(limiter: Limiter, clock: Clock, redis: Redis) -> None:
    one, mirror = follower(limiter, clock, REQUESTS), Mirror()
    for _ in range(5):
        await limiter.acquire([Charge(REQUESTS, "acme")])
    mirror.take(await looked(one, clock), WINDOW_MS)
    assert mirror.used == 5
    await redis.flushall()
    await limiter.acquire([Charge(REQUESTS, "acme")])
    look = await looked(one, clock)
    assert look.fresh
    mirror.take(look, WINDOW_MS)
    assert mirror.used == look.window.used == 1


async def test_a_window_that_was_edited_is_followed_by_its_new_self(limiter: Limiter, clock: Clock) -> None:
    one, mirror = follower(limiter, clock, REQUESTS), Mirror()
    for _ in range(5):
        await limiter.acquire([Charge(REQUESTS, "acme")])
        clock.ms += 1_000
    mirror.take(await looked(one, clock), WINDOW_MS)
    assert mirror.used == 4
    edited = RateLimitPolicy(name="r", scope="TENANT", limit=3, window="2500ms")
    one.use(edited)
    look = await looked(one, clock)
    assert look.fresh
    mirror.take(look, 2_500)
    assert (mirror.used, look.window.used, look.window.limit) == (2, 2, 3)
    one.use(RateLimitPolicy(name="r", scope="TENANT", limit=9, window="2500ms"))
    look = await looked(one, clock)
    assert not look.fresh, "another limit is no other log"
    assert look.window.limit == 9


async def test_looking_writes_nothing(limiter: Limiter, clock: Clock, redis: Redis) -> None:
    one = follower(limiter, clock, TOKENS)
    decision = await limiter.acquire([Charge(TOKENS, "acme", 7)])
    await limiter.settle(decision, {"total_tokens": 3})
    before = {key: await redis.dump(key) for key in await redis.keys()}
    clock.ms += WINDOW_MS
    await looked(one, clock)
    assert {key: await redis.dump(key) for key in await redis.keys()} == before


async def test_next_free_is_exact(limiter: Limiter, clock: Clock) -> None:
    policy = RateLimitPolicy(name="r", scope="TENANT", limit=2, window="5s")
    one = follower(limiter, clock, policy)
    for _ in range(2):
        await limiter.acquire([Charge(policy, "acme")])
        clock.ms += 300
    look = await looked(one, clock)
    assert look.window.retry_after_s == 4.4
    clock.ms += 4_399
    assert not (await limiter.acquire([Charge(policy, "acme")])).allowed
    clock.ms += 1
    assert (await looked(one, clock)).window.retry_after_s == 0
    assert (await limiter.acquire([Charge(policy, "acme")])).allowed
