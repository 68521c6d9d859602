"""Dry runs: what the replay says is what the limiter would have done, and what it cannot know is said."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from policies import dry_run as dry_run_module
from policies.connect import connect
from policies.dry_run import DryRunner, NoHistoryError, Replay, source_for
from tests.policies.conftest import Clock
from tests.policies.redis_nodes import ClusterGroup
from tests.policies.redis_server import RedisServer, binaries
from tests.policies.reference import Log

TOKENS = {"unit": "total_tokens"}


def policy(name: str = "p", limit: int = 1_000_000, window: str = "1m", **fields: Any) -> RateLimitPolicy:
    return RateLimitPolicy(**{"name": name, "scope": "TENANT", "limit": limit, "window": window, **fields})


@given(
    steps=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 6)), max_size=60),
    limit=st.integers(1, 12),
    window_ms=st.integers(100, 1_000),
)
def test_the_rule_is_the_reference_models(steps: list[tuple[int, int]], limit: int, window_ms: int) -> None:
    replay, log, now = Replay(limit, window_ms), Log(), 0
    for pause_ms, cost in steps:
        now += pause_ms
        fits = log.retry_ms(cost, limit, window_ms, now) == 0
        assert replay.admits(now, cost) is fits
        if fits:
            log.append(cost, now)


@pytest.mark.parametrize("fields", [{}, TOKENS], ids=["requests", "tokens"])
async def test_it_says_what_the_limiter_would_have_done(
    limiter: Limiter, clock: Clock, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run_module, "ENTRIES_AT_ONCE", 7)
    seen = policy("seen", mode="shadow", **fields)
    proposed = policy("proposed", 25 if fields else 6, "5s", **fields)
    chance, start = random.Random(3), clock.ms
    expected: dict[str, list[int]] = {}
    for _ in range(150):
        clock.ms += chance.randrange(300)
        subject, cost = chance.choice(["acme", "globex", "initech"]), chance.randrange(1, 9) if fields else 1
        assert (await limiter.acquire([Charge(seen, subject, cost, f"tenant:{subject}")])).allowed
        live = await limiter.acquire([Charge(proposed, subject, cost, f"tenant:{subject}")])
        of_subject = expected.setdefault(subject, [0, 0, 0, 0])
        of_subject[0] += 1
        if not live.allowed:
            of_subject[1] += 1
            of_subject[2] += cost
            of_subject[3] = of_subject[3] or clock.ms
    outcome = await DryRunner(limiter).run(proposed, seen)
    assert outcome.complete
    told = {
        each.subject: [each.requests, each.denied, each.denied_cost, each.first_denied_ms] for each in outcome.worst
    }
    assert told == expected
    assert (outcome.requests, outcome.denied) == (150, sum(each[1] for each in expected.values()))
    assert [each.denied for each in outcome.worst] == sorted((each[1] for each in expected.values()), reverse=True)
    assert outcome.first is not None
    assert outcome.first.first_denied_ms == min(each[3] for each in expected.values())
    assert outcome.from_ms is not None
    assert start < outcome.from_ms < (outcome.to_ms or 0) <= clock.ms
    (acme,) = (await DryRunner(limiter).run(proposed, seen, "acme")).worst
    assert [acme.requests, acme.denied] == expected["acme"][:2]


async def test_costs_are_what_was_used(limiter: Limiter, clock: Clock) -> None:
    seen = policy("seen", **TOKENS)
    for used in (10, 0, 150):
        decision = await limiter.acquire([Charge(seen, "acme", 100)])
        await limiter.settle(decision, {"total_tokens": used})
        clock.ms += 1_000
    await limiter.acquire([Charge(seen, "acme", 7)])
    outcome = await DryRunner(limiter).run(policy("seen", 60, **TOKENS), seen)
    # The one that used nothing is none; the one that used more than its reservation is two.
    assert (outcome.requests, outcome.cost, outcome.denied, outcome.denied_cost) == (4, 167, 2, 107)
    assert any("reserved" in note for note in outcome.notes)


async def test_only_what_the_window_held(limiter: Limiter, clock: Clock) -> None:
    seen = policy("seen", window="10s")
    for _ in range(30):
        await limiter.acquire([Charge(seen, "acme")])
        clock.ms += 1_000
    outcome = await DryRunner(limiter).run(policy("seen", 4, "1h"), seen)
    assert (outcome.requests, outcome.denied) == (10, 6)
    assert any("go back 10s" in note for note in outcome.notes)
    assert any("longer than that" in note for note in outcome.notes)


async def test_an_old_log_still_answers(limiter: Limiter, clock: Clock) -> None:
    seen = policy("seen", window="10s", **TOKENS)
    for _ in range(3):
        await limiter.acquire([Charge(seen, "acme", 5)])
    clock.ms += 20_000  # nothing counts any more, and nobody has asked since
    outcome = await DryRunner(limiter).run(policy("seen", 10, "10s", **TOKENS), seen)
    assert (outcome.requests, outcome.denied, outcome.cost) == (3, 1, 15)


async def test_looking_changes_nothing(limiter: Limiter, server: RedisServer) -> None:
    seen = policy("seen", **TOKENS)
    for cost in (1, 5, 1):
        await limiter.acquire([Charge(seen, "acme", cost)])
    before = server.dump()
    await DryRunner(limiter).run(policy("seen", 1, **TOKENS), seen)
    assert server.dump() == before


async def test_more_than_one_dry_run_reads(limiter: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = policy("seen")
    for n in range(40):
        await limiter.acquire([Charge(seen, f"t{n % 4}")])
    monkeypatch.setattr(dry_run_module, "MOST_ENTRIES", 25)
    outcome = await DryRunner(limiter).run(policy("seen", 1), seen)
    assert (outcome.complete, outcome.requests) == (False, 25)
    monkeypatch.setattr(dry_run_module, "MOST_ENTRIES", 1_000)
    monkeypatch.setattr(dry_run_module, "MOST_SUBJECTS", 3)
    outcome = await DryRunner(limiter).run(policy("seen", 1), seen)
    assert (outcome.complete, outcome.subjects) == (False, 3)
    assert (await DryRunner(limiter).run(policy("seen", 1), seen, "t3")).complete


async def test_split_windows_are_one(limiter: Limiter, clock: Clock) -> None:
    split = policy("all", 80, scope="GLOBAL", shards=4)
    for _ in range(10):
        await limiter.acquire([Charge(split, slot="global")])
        clock.ms += 10
    outcome = await DryRunner(limiter).run(policy("all", 3, scope="GLOBAL"), split)
    assert (outcome.subjects, outcome.requests, outcome.denied) == (1, 10, 7)
    assert any("Split" in note for note in outcome.notes)


async def test_the_proposed_match_leaves_subjects_out(limiter: Limiter) -> None:
    seen = policy("seen", per=("model",))
    for tenant, model in (("acme", "small"), ("acme", "large"), ("globex", "large")):
        await limiter.acquire([Charge(seen, f"{tenant}|model={model}", 1, f"tenant:{tenant}")])

    async def subjects(**match: Any) -> int:
        return (await DryRunner(limiter).run(policy("seen", 1, per=("model",), match=match), seen)).subjects

    assert await subjects() == 3
    assert await subjects(tenant="acme") == 2
    assert await subjects(model="large") == 2
    assert await subjects(model="large", tenant=["acme", "initech"]) == 1
    outcome = await DryRunner(limiter).run(policy("seen", 1, per=("model",), match={"qos_tier": "batch"}), seen)
    assert outcome.subjects == 3
    assert any("qos_tier cannot be told" in note for note in outcome.notes)


async def test_tenants_of_windows_that_are_not_theirs_by_name(limiter: Limiter) -> None:
    seen = policy("seen", scope="API_KEY")
    for key, tenant in (("k1", "acme"), ("k2", "acme"), ("k3", "globex")):
        await limiter.acquire([Charge(seen, key, 1, f"tenant:{tenant}")])
    proposed = policy("mine", scope="API_KEY", match={"tenant": "acme"})
    assert (await DryRunner(limiter).run(proposed, seen)).subjects == 2


async def test_empty_logs_say_so(limiter: Limiter) -> None:
    outcome = await DryRunner(limiter).run(policy(), policy())
    assert (outcome.requests, outcome.first, outcome.from_ms) == (0, None, None)
    assert "empty" in outcome.notes[0]


# Whose logs ---------------------------------------------------------------------------------------------------

POLICIES = [
    policy("tenant-short"),
    policy("tenant-long", window="1h"),
    policy("acme", window="1d", match={"tenant": "acme"}),
    policy("tokens", **TOKENS),
    policy("split", per=("model",)),
    policy("key", scope="API_KEY"),
]


@pytest.mark.parametrize(
    ("proposed", "named", "source"),
    [
        (policy("tenant-short", 3), None, "tenant-short"),
        (policy("new"), None, "tenant-long"),
        (policy("new", match={"tenant": "acme"}), None, "acme"),
        (policy("new"), "tenant-short", "tenant-short"),
        (policy("new", **TOKENS), None, "tokens"),
        (policy("new", per=("model",)), None, "split"),
    ],
)
def test_whose_logs_answer(proposed: RateLimitPolicy, named: str | None, source: str) -> None:
    assert source_for(proposed, POLICIES, named).name == source


@pytest.mark.parametrize(
    ("proposed", "named", "says"),
    [
        (policy("new", scope="MODEL"), None, "mode: shadow"),
        (policy("new"), "nope", "'nope' does not exist"),
        (policy("new"), "key", "scope API_KEY"),
        (policy("new"), "tokens", "Name one of these in from: tenant-short"),
        (policy("key"), None, "scope API_KEY"),
        (policy("new", unit="concurrent_requests"), None, "shadow mode"),
    ],
)
def test_where_no_log_can_answer(proposed: RateLimitPolicy, named: str | None, says: str) -> None:
    with pytest.raises(NoHistoryError, match="shadow") as error:
        source_for(proposed, POLICIES, named)
    assert says in str(error.value)


async def test_on_every_node(redis: Redis) -> None:
    cluster = ClusterGroup(next(iter(binaries().values())))
    try:
        client = connect(cluster.url)
        limiter = Limiter(client, deadline_s=5)
        seen = policy("seen")
        for n in range(60):
            await limiter.acquire([Charge(seen, f"t{n % 20}", 1, f"tenant:t{n % 20}")])
        outcome = await DryRunner(limiter).run(policy("seen", 1), seen)
        assert (outcome.complete, outcome.subjects, outcome.requests, outcome.denied) == (True, 20, 60, 40)
        await limiter.close()
        await client.aclose()
    finally:
        cluster.close()
