"""The limiter on a real Redis: what one decision says and does, case by case."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from policies import Charge, CostExceedsLimitError, InvalidChargeError, Limiter, RateLimitPolicy
from policies.entities import MAX_COST, MAX_LIMIT, Scope
from tests.policies.conftest import Clock
from tests.policies.redis_server import RedisServer


def policy(limit: int = 2, window: str | int = "10s", **fields: Any) -> RateLimitPolicy:
    return RateLimitPolicy(**{"name": "p", "scope": "TENANT", "limit": limit, "window": window, **fields})


TOKENS = {"unit": "total_tokens"}
SLOTS = {"unit": "concurrent_requests"}


# One decision -------------------------------------------------------------------------------------------------


async def test_what_a_decision_says(limiter: Limiter, clock: Clock) -> None:
    charge = Charge(policy(limit=3), "acme")
    await limiter.acquire([charge])
    clock.ms += 2_500
    decision = await limiter.acquire([charge])
    (window,) = decision.windows
    assert decision.allowed
    assert decision.denied_by is None
    assert decision.retry_after_s == 0
    assert decision.time_s == clock.ms / 1000
    assert (window.policy, window.scope, window.subject, window.unit) == ("p", "TENANT", "acme", "requests")
    assert (window.limit, window.window_s, window.cost, window.used, window.remaining) == (3, 10.0, 1, 2, 1)
    assert (window.fits, window.retry_after_s, window.reset_after_s, window.enforced) == (True, 0.0, 7.5, True)


async def test_the_window_is_half_open_to_the_millisecond(limiter: Limiter, clock: Clock) -> None:
    charge, start = Charge(policy(limit=1, window=100)), clock.ms
    assert (await limiter.acquire([charge])).allowed
    for after_ms, allowed in ((0, False), (1, False), (99, False), (100, True)):
        clock.ms = start + after_ms
        decision = await limiter.peek([charge])
        assert decision.allowed is allowed, after_ms
        assert decision.retry_after_s == (100 - after_ms) / 1000


async def test_peek_logs_nothing(limiter: Limiter, server: RedisServer) -> None:
    charges = [Charge(policy()), Charge(policy(name="t", **TOKENS)), Charge(policy(name="c", **SLOTS))]
    for _ in range(3):
        assert (await limiter.peek(charges)).windows[0].used == 0
    assert server.dump() == {}


@pytest.mark.parametrize("first", range(9))
async def test_windows_of_every_kind_are_decided_together_in_any_order(
    limiter: Limiter, clock: Clock, first: int
) -> None:
    block = {"denials": 9, "within": "1m", "duration": "1m"}
    kinds: list[dict[str, Any]] = [{}, SLOTS, TOKENS, {"block": block}, SLOTS | {"block": block}, {}, TOKENS, {}, SLOTS]
    policies = [policy(name=f"p{at}", limit=4, **fields) for at, fields in enumerate(kinds)]
    policies = policies[first:] + policies[:first]
    charges = [Charge(each, cost=2 if each.unit == "total_tokens" else 1) for each in policies]
    for asked in range(2):
        clock.ms += 10
        decision = await limiter.acquire(charges)
        assert decision.allowed
        assert [window.used for window in decision.windows] == [charge.cost * (asked + 1) for charge in charges]
    denied = await limiter.acquire(charges)
    assert not denied.allowed, "the tokens' windows are full"
    assert [window.fits for window in denied.windows] == [charge.cost == 1 for charge in charges]
    assert denied.retry_after_s == 9.99
    await limiter.cancel(decision)
    left = await limiter.peek(charges)
    assert [window.used for window in left.windows] == [charge.cost for charge in charges]


async def test_replies_may_be_decoded_for_others(server: RedisServer) -> None:
    redis = Redis(unix_socket_path=server.socket, decode_responses=True)
    limiter = Limiter(redis, deadline_s=5)
    assert [(await limiter.acquire([Charge(policy(limit=2))])).allowed for _ in range(3)] == [True, True, False]
    await limiter.close()
    await redis.aclose()


@pytest.mark.parametrize("denying", list(Scope))
@pytest.mark.parametrize("fields", [{}, TOKENS, SLOTS], ids=["requests", "tokens", "concurrent"])
async def test_each_scope_denies_alone_and_leaves_no_trace(
    limiter: Limiter, server: RedisServer, denying: Scope, fields: dict[str, str]
) -> None:
    policies = [policy(name=scope.value, scope=scope, limit=1 if scope is denying else 9, **fields) for scope in Scope]
    charges = [Charge(each, subject=each.scope.lower()) for each in policies]
    assert (await limiter.acquire(charges)).allowed
    before = server.dump()
    decision = await limiter.acquire(charges)
    assert not decision.allowed
    assert decision.denied_by == denying.value
    assert decision.denying is decision.windows[list(Scope).index(denying)]
    assert [window.fits for window in decision.windows] == [scope is not denying for scope in Scope]
    assert [window.used for window in decision.windows] == [1] * 6
    assert server.dump() == before


async def test_of_several_that_deny_the_longest_wait_is_told(limiter: Limiter, clock: Clock) -> None:
    charges = [
        Charge(policy(1, "10s", name="a")),
        Charge(policy(1, "1m", name="b")),
        Charge(policy(1, "20s", name="c")),
    ]
    await limiter.acquire(charges)
    clock.ms += 1
    decision = await limiter.acquire(charges)
    assert (decision.denied_by, decision.retry_after_s) == ("b", 59.999)


async def test_shadow_counts_and_never_denies(limiter: Limiter) -> None:
    charges = [Charge(policy(1, name="watched", mode="shadow")), Charge(policy(3, name="real"))]
    decisions = [await limiter.acquire(charges) for _ in range(4)]
    assert [decision.allowed for decision in decisions] == [True, True, True, False]
    assert [decision.windows[0].used for decision in decisions] == [1, 2, 3, 3]
    assert [decision.windows[0].fits for decision in decisions] == [True, False, False, False]
    assert decisions[3].denied_by == "real"
    assert not decisions[1].windows[0].enforced


async def test_policies_that_rest_are_left_out(limiter: Limiter, server: RedisServer) -> None:
    decision = await limiter.acquire([Charge(policy(mode="off"))])
    assert decision.allowed
    assert decision.windows == ()
    assert server.dump() == {}
    assert (await limiter.acquire([])).allowed


# What is refused ----------------------------------------------------------------------------------------------


async def test_a_cost_above_the_limit_can_never_fit(limiter: Limiter, server: RedisServer) -> None:
    with pytest.raises(CostExceedsLimitError, match=r"costs 11 total_tokens, and policy 'p' never allows more than 10"):
        await limiter.acquire([Charge(policy(10, name="other")), Charge(policy(10, **TOKENS), cost=11)])
    assert server.dump() == {}


async def test_a_shadow_window_that_can_never_hold_the_cost_says_so(limiter: Limiter) -> None:
    decision = await limiter.acquire([Charge(policy(10, mode="shadow", **TOKENS), cost=11)])
    assert decision.allowed
    assert decision.windows[0].retry_after_s == float("inf")
    assert (decision.windows[0].used, decision.windows[0].remaining) == (11, 0)


@pytest.mark.parametrize("cost", [0, -1, MAX_COST + 1])
async def test_costs_out_of_range_are_the_callers_fault(limiter: Limiter, cost: int) -> None:
    with pytest.raises(InvalidChargeError, match="must be a whole number from 1 to"):
        await limiter.acquire([Charge(policy(MAX_LIMIT, **TOKENS), cost=cost)])


async def test_the_same_window_twice_is_the_callers_fault(limiter: Limiter) -> None:
    with pytest.raises(InvalidChargeError, match="'p' is charged twice"):
        await limiter.acquire([Charge(policy(), "a"), Charge(policy(), "b"), Charge(policy(), "a")])


async def test_the_same_name_for_two_subjects_or_units_is_two_windows(limiter: Limiter) -> None:
    charges = [Charge(policy(1), "a"), Charge(policy(1), "b"), Charge(policy(1, **TOKENS), "a")]
    assert [window.used for window in (await limiter.acquire(charges)).windows] == [1, 1, 1]


@pytest.mark.parametrize("subject", ["{a}", "a{b}c", "}{", "naïve ü", "a\r\nb", "x" * 300, ":", "a:w", ""])
async def test_any_text_can_be_a_subject(limiter: Limiter, subject: str) -> None:
    charge = Charge(policy(1), subject)
    assert (await limiter.acquire([charge])).allowed
    assert not (await limiter.acquire([charge])).allowed
    assert (await limiter.acquire([Charge(policy(1), subject + "'")])).allowed


# Settling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actual", "used_at_once", "used_after_the_reservation_left"),
    [(0, 0, 0), (40, 40, 0), (100, 100, 0), (130, 130, 30)],
)
async def test_settling(
    limiter: Limiter, clock: Clock, actual: int, used_at_once: int, used_after_the_reservation_left: int
) -> None:
    charge = Charge(policy(1_000, **TOKENS), cost=100)
    decision = await limiter.acquire([charge])
    clock.ms += 4_000
    await limiter.settle(decision, {"total_tokens": actual})
    assert (await limiter.peek([charge])).windows[0].used == used_at_once
    clock.ms += 6_000
    assert (await limiter.peek([charge])).windows[0].used == used_after_the_reservation_left
    clock.ms += 4_000
    assert (await limiter.peek([charge])).windows[0].used == 0


async def test_settling_after_the_window_logs_only_the_excess(limiter: Limiter, clock: Clock) -> None:
    charge = Charge(policy(1_000, **TOKENS), cost=100)
    less, more = await limiter.acquire([charge]), await limiter.acquire([charge])
    clock.ms += 10_000
    await limiter.settle(less, {"total_tokens": 1})
    await limiter.settle(more, {"total_tokens": 107})
    assert (await limiter.peek([charge])).windows[0].used == 7


@pytest.mark.parametrize("end", ["settle", "cancel"])
async def test_settling_twice_changes_nothing(limiter: Limiter, server: RedisServer, end: str) -> None:
    charge = Charge(policy(1_000, **TOKENS), cost=100)
    decision = await limiter.acquire([charge])
    await limiter.acquire([charge])
    await limiter.settle(decision, {"total_tokens": 150})
    before = server.dump()
    if end == "settle":
        await limiter.settle(decision, {"total_tokens": 150})
    else:
        await limiter.cancel(decision)
    decision._ending.done = False  # as another process would, that was handed the same decision
    await limiter.settle(decision, {"total_tokens": 400})
    assert server.dump() == before


async def test_cancel_is_as_though_it_had_never_been_asked(limiter: Limiter, clock: Clock) -> None:
    charges = [
        Charge(policy(2)),
        Charge(policy(200, name="t", **TOKENS), cost=70),
        Charge(policy(2, name="c", **SLOTS)),
    ]
    first = await limiter.acquire(charges)
    clock.ms += 1_000
    second = await limiter.acquire(charges)
    await limiter.cancel(first)
    found = await limiter.peek(charges)
    assert [window.used for window in found.windows] == [1, 70, 1]
    assert [window.reset_after_s for window in found.windows] == [10.0, 10.0, 0.0]
    await limiter.cancel(second)
    found = await limiter.peek(charges)
    assert [(window.used, window.reset_after_s) for window in found.windows] == [(0, 0.0)] * 3


async def test_settling_what_left_before_the_log_began_afresh(limiter: Limiter, clock: Clock) -> None:
    charge, single = Charge(policy(1_000, **TOKENS), cost=5), Charge(policy(1_000, **TOKENS))
    old, other = await limiter.acquire([charge]), await limiter.acquire([charge])
    clock.ms += 10_000
    young = await limiter.acquire([single])  # nothing counts any more: no weights now
    await limiter.settle(old, {"total_tokens": 4})
    await limiter.cancel(young)  # weights again
    await limiter.settle(other, {"total_tokens": 4})
    assert (await limiter.peek([charge])).windows[0].used == 0


async def test_settling_by_the_old_window_harms_no_longer_one(limiter: Limiter, clock: Clock) -> None:
    short, long = policy(1_000, "10s", **TOKENS), policy(1_000, "10m", **TOKENS)
    old = await limiter.acquire([Charge(short, cost=100)])
    clock.ms += 5_000
    await limiter.acquire([Charge(long, cost=300)])
    clock.ms += 20_000
    await limiter.settle(old, {"total_tokens": 10})
    assert (await limiter.peek([Charge(long)])).windows[0].used == 310


async def test_an_actual_out_of_range_is_refused(limiter: Limiter) -> None:
    decision = await limiter.acquire([Charge(policy(10, **TOKENS), cost=3)])
    with pytest.raises(InvalidChargeError, match="actual total_tokens -1"):
        await limiter.settle(decision, {"total_tokens": -1})
    await limiter.settle(decision, {"total_tokens": 2})
    assert (await limiter.peek([Charge(policy(10, **TOKENS))])).windows[0].used == 2


# Leases -------------------------------------------------------------------------------------------------------


async def test_slots_come_back_at_settlement_or_when_the_lease_ends(limiter: Limiter, clock: Clock) -> None:
    charge = Charge(policy(2, "10s", **SLOTS))
    first, second = await limiter.acquire([charge]), await limiter.acquire([charge])
    denied = await limiter.acquire([charge])
    assert (denied.allowed, denied.retry_after_s) == (False, 10.0)
    await limiter.settle(first)
    assert (await limiter.acquire([charge])).allowed
    clock.ms += 6_000
    assert await limiter.renew(second)
    clock.ms += 4_000  # the third was never renewed
    assert (await limiter.peek([charge])).windows[0].used == 1
    clock.ms += 6_000
    assert not await limiter.renew(second)
    assert (await limiter.peek([charge])).windows[0].used == 0


async def test_leases_of_several_slots(limiter: Limiter, clock: Clock) -> None:
    small, large = Charge(policy(10, "10s", **SLOTS)), Charge(policy(10, "10s", **SLOTS), cost=4)
    first = await limiter.acquire([large])
    clock.ms += 1_000
    await limiter.acquire([large])
    clock.ms += 1_000
    await limiter.acquire([small])
    denied = await limiter.acquire([large])
    assert (denied.windows[0].used, denied.retry_after_s) == (9, 8.0)
    await limiter.settle(first)
    assert (await limiter.peek([small])).windows[0].used == 5
    clock.ms += 9_000
    assert (await limiter.acquire([small])).windows[0].used == 2
    clock.ms += 10_000
    assert (await limiter.acquire([small])).windows[0].used == 1


@pytest.mark.parametrize("cost", [1, 3])
async def test_a_mass_of_dead_holders_leaves_in_strides(
    limiter: Limiter, clock: Clock, redis: Redis, cost: int
) -> None:
    limited = policy(MAX_LIMIT, "10s", **SLOTS)
    charge, single = Charge(limited, cost=cost), Charge(limited)
    for _ in range(5):
        await asyncio.gather(*(limiter.acquire([charge]) for _ in range(500)))
    assert (await limiter.peek([single])).windows[0].used == 2_500 * cost
    clock.ms += 10_000
    for taken in range(1, 13):  # 250 leave with each
        assert (await limiter.acquire([single])).windows[0].used == taken
    assert await redis.zcard(limiter._places.of(charge).log_key) == 12


# Keys ---------------------------------------------------------------------------------------------------------


async def test_keys_live_as_long_as_they_are_needed_and_no_longer(redis: Redis) -> None:
    limiter = Limiter(redis, deadline_s=5)
    charges = [
        Charge(policy(99, "1m", name=name, **fields)) for name, fields in (("r", {}), ("t", TOKENS), ("c", SLOTS))
    ]
    charges[1] = Charge(charges[1].policy, cost=5)
    await limiter.acquire(charges)
    keys = await redis.keys()
    assert len(keys) == 5
    assert all([120_000 < await redis.pttl(key) <= 180_000 for key in keys])
    longer = [Charge(each.policy.model_copy(update={"window": 3_600_000}), cost=each.cost) for each in charges]
    await asyncio.sleep(0.15)
    await limiter.acquire(longer)
    assert all([7_200_000 < await redis.pttl(key) <= 10_800_000 for key in keys])


async def test_the_servers_clock_decides(redis: Redis) -> None:
    limiter = Limiter(redis, deadline_s=5)
    charge = Charge(policy(2, 300))
    decisions = [await limiter.acquire([charge]) for _ in range(3)]
    assert [decision.allowed for decision in decisions] == [True, True, False]
    seconds, micros = await redis.time()
    assert abs(decisions[2].time_s - seconds - micros / 1e6) < 5
    await asyncio.sleep(decisions[2].retry_after_s + 0.005)
    assert (await limiter.acquire([charge])).allowed
