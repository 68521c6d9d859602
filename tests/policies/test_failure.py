"""Redis frozen, killed, slow, cut off, full or not the primary: what each policy does, how long it takes, and what is
left in the windows. In one file, since all of them share what can be done to a server."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from policies import Charge, Decision, Limiter, RateLimitPolicy
from policies.breaker import FAILURES_TO_OPEN
from policies.errors import StoreError, StoreRefusedError, StoreTimeoutError, StoreUnavailableError
from policies.lane import Call
from tests.policies.redis_server import RedisServer, binaries
from tests.policies.tcp_proxy import TcpProxy

DEADLINE_S = 0.05
SLACK_S = 0.02


def policy(name: str, limit: int = 100, **fields: Any) -> RateLimitPolicy:
    return RateLimitPolicy(**{"name": name, "scope": "TENANT", "limit": limit, "window": "10m", **fields})


DENY, ALLOW = policy("deny"), policy("allow", on_redis_failure="allow")
LOCAL = policy("local", 10, on_redis_failure="local")
LOCAL_TOKENS = policy("local-tokens", 100, unit="total_tokens", on_redis_failure="local")
LOCAL_SLOTS = policy("local-slots", 2, unit="concurrent_requests", on_redis_failure="local")


@pytest.fixture
def own_server() -> Any:
    """A Redis that the test may freeze, kill and reconfigure."""
    made = RedisServer(next(iter(binaries().values())), "--appendonly", "yes", "--appendfsync", "always").start()
    yield made
    made.close()


@pytest_asyncio.fixture
async def client(own_server: RedisServer) -> AsyncIterator[Redis]:
    made = Redis(unix_socket_path=own_server.socket)
    yield made
    await made.aclose()


@pytest_asyncio.fixture
async def limiter(client: Redis) -> AsyncIterator[Limiter]:
    made = Limiter(client, deadline_s=DEADLINE_S)
    await warmed(made)
    yield made
    await made.close()


async def warmed(limiter: Limiter) -> None:
    """Connected, and the script known, however slow the machine."""
    await eventually(lambda: limiter.peek([Charge(DENY)]))


async def eventually(ask: Callable[[], Awaitable[Any]], within_s: float = 10) -> Any:
    give_up = time.monotonic() + within_s
    while True:
        try:
            return await ask()
        except StoreError:
            assert time.monotonic() < give_up, "Redis is back, and the limiter does not notice"
            await asyncio.sleep(0.02)


def used(server: RedisServer, which: RateLimitPolicy) -> int:
    with server.sync() as client:
        return int(client.xlen(f"sluice:{{TENANT:}}:{which.name}:r:"))


async def test_frozen_each_policy_does_as_it_says_in_time(limiter: Limiter, own_server: RedisServer) -> None:
    limiter.replicas = 3
    own_server.signal(signal.SIGSTOP)
    took = []

    async def timed(charges: list[Charge]) -> Any:
        start = time.perf_counter()
        try:
            return await limiter.acquire(charges)
        except StoreError as error:
            return error
        finally:
            took.append(time.perf_counter() - start)

    for _ in range(100):
        denied = await timed([Charge(DENY), Charge(ALLOW)])
        assert isinstance(denied, StoreUnavailableError)
        allowed = await timed([Charge(ALLOW)])
        assert allowed.allowed
        assert allowed.degraded
    local = [(await timed([Charge(LOCAL), Charge(ALLOW)])) for _ in range(5)]
    assert [decision.allowed for decision in local] == [True, True, True, False, False]  # 10 // 3 replicas
    assert local[3].denied_by == "local"
    assert local[3].retry_after_s == pytest.approx(600, abs=1)
    took.sort()
    assert took[int(len(took) * 0.99)] < DEADLINE_S + SLACK_S
    assert took[len(took) // 2] < 0.005, "the breaker did not open"
    own_server.signal(signal.SIGCONT)
    decision = await eventually(lambda: limiter.acquire([Charge(DENY)]))
    assert not decision.degraded


async def test_what_a_frozen_redis_admitted_for_nobody_is_given_back(limiter: Limiter, own_server: RedisServer) -> None:
    slots = policy("slots", 100, unit="concurrent_requests")
    own_server.signal(signal.SIGSTOP)
    asked = await asyncio.gather(
        *(limiter.acquire([Charge(DENY), Charge(slots)]) for _ in range(4)), return_exceptions=True
    )
    assert all(isinstance(each, StoreTimeoutError) for each in asked)
    own_server.signal(signal.SIGCONT)

    async def nothing_left() -> None:
        found = await limiter.peek([Charge(DENY), Charge(slots)])
        if [window.used for window in found.windows] != [0, 0]:
            raise StoreError("not yet")

    await eventually(nothing_left)
    assert used(own_server, DENY) == 4  # they were admitted, and count for nothing


async def test_a_caller_that_left_keeps_nothing(limiter: Limiter, own_server: RedisServer) -> None:
    own_server.signal(signal.SIGSTOP)
    task = asyncio.create_task(limiter.acquire([Charge(DENY)]))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    own_server.signal(signal.SIGCONT)
    await asyncio.sleep(0.1)
    assert (await eventually(lambda: limiter.peek([Charge(DENY)]))).windows[0].used == 0


async def test_what_was_admitted_for_nobody_is_given_back_while_the_limiter_is_closed(
    limiter: Limiter, client: Redis, own_server: RedisServer
) -> None:
    other = Limiter(client, deadline_s=DEADLINE_S)
    await warmed(other)
    own_server.signal(signal.SIGSTOP)
    task = asyncio.create_task(other.acquire([Charge(DENY)]))
    await asyncio.sleep(0.01)
    task.cancel()
    closing = asyncio.create_task(other.close())
    await asyncio.sleep(0.01)
    own_server.signal(signal.SIGCONT)
    await closing
    assert used(own_server, DENY) == 1  # it was admitted, and counts for nothing
    assert (await eventually(lambda: limiter.peek([Charge(DENY)]))).windows[0].used == 0


async def test_a_caller_that_leaves_as_the_answer_arrives_keeps_nothing(
    limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Call.finish

    def answer_and_leave(call: Call, reply: Any) -> None:
        answer(call, reply)
        task.cancel()  # before its turn comes to see the answer

    with monkeypatch.context() as patched:
        patched.setattr(Call, "finish", answer_and_leave)
        task = asyncio.create_task(limiter.acquire([Charge(DENY)]))
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(0)
    await asyncio.gather(*limiter._tasks)  # what takes it back
    assert (await eventually(lambda: limiter.peek([Charge(DENY)]))).windows[0].used == 0


async def test_killed_and_started_again(limiter: Limiter, own_server: RedisServer) -> None:
    for _ in range(3):
        await limiter.acquire([Charge(DENY)])
    own_server.kill()
    with pytest.raises(StoreUnavailableError):
        await limiter.acquire([Charge(DENY)])
    assert (await limiter.acquire([Charge(ALLOW)])).degraded
    own_server.start()
    # Neither the broken connection nor the script it no longer knows is the caller's concern.
    decision = await eventually(lambda: limiter.acquire([Charge(DENY)]), within_s=3)
    assert decision.windows[0].used == 4


async def test_an_idle_connection_that_redis_closed_is_noticed(limiter: Limiter, own_server: RedisServer) -> None:
    with own_server.sync() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    await asyncio.sleep(0.15)
    assert (await limiter.acquire([Charge(DENY)])).windows[0].used == 1


async def test_flushed_scripts_are_loaded_again(limiter: Limiter, client: Redis) -> None:
    for _ in range(3):
        await client.script_flush()
        decisions = await asyncio.gather(*(eventually(lambda: limiter.acquire([Charge(DENY)])) for _ in range(20)))
        assert all(decision.allowed for decision in decisions)
    assert (await limiter.peek([Charge(DENY)])).windows[0].used == 60


async def test_who_is_told_that_redis_is_back_is_served(limiter: Limiter, own_server: RedisServer) -> None:
    """`/readyz` asks so: a circuit that stayed open would refuse what then arrives together, all but one probe."""
    own_server.kill()
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(StoreError):
            await limiter.acquire([Charge(DENY)])
    assert limiter.store.open_circuits == 1
    with pytest.raises(StoreUnavailableError):
        await limiter.ping()
    assert limiter.store.open_circuits == 1
    own_server.start()
    await eventually(limiter.ping)
    assert limiter.store.open_circuits == 0


async def test_a_key_of_another_type_refuses_and_leaves_nothing(
    limiter: Limiter, client: Redis, own_server: RedisServer
) -> None:
    await client.rpush("sluice:{TENANT:}:local:r:", "not a log")
    before = own_server.dump()
    with pytest.raises(StoreRefusedError, match="WRONGTYPE"):
        await limiter.acquire([Charge(DENY), Charge(LOCAL)])
    assert own_server.dump() == before
    assert (await limiter.acquire([Charge(DENY)])).allowed, "one bad key must not open the breaker"


async def test_out_of_memory_refuses_and_leaves_nothing(
    limiter: Limiter, client: Redis, own_server: RedisServer
) -> None:
    charges = [
        Charge(DENY),
        Charge(policy("t", unit="total_tokens"), cost=5),
        Charge(policy("c", unit="concurrent_requests")),
    ]
    await limiter.acquire(charges)
    before = own_server.dump()
    await client.config_set("maxmemory", 1)
    with pytest.raises(StoreRefusedError, match=r"OOM|maxmemory"):
        await limiter.acquire(charges)
    assert (await limiter.acquire([Charge(ALLOW)])).degraded
    await client.config_set("maxmemory", 0)
    assert own_server.dump() == before
    assert (await limiter.acquire(charges)).windows[1].used == 10


async def test_a_replica_is_not_written_to(limiter: Limiter, client: Redis, own_server: RedisServer) -> None:
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreUnavailableError, match=r"replica|READONLY"):
        await limiter.acquire([Charge(DENY)])
    await client.execute_command("REPLICAOF", "NO", "ONE")
    assert (await eventually(lambda: limiter.acquire([Charge(DENY)]))).windows[0].used == 1


# Between us and Redis -----------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def proxy(own_server: RedisServer) -> AsyncIterator[TcpProxy]:
    made = TcpProxy(own_server.socket)
    made.port = await made.start()  # type: ignore[attr-defined]
    yield made
    await made.close()


@pytest_asyncio.fixture
async def far(proxy: TcpProxy) -> AsyncIterator[Limiter]:
    """A limiter whose Redis is behind the proxy."""
    redis = Redis(host="127.0.0.1", port=proxy.port)  # type: ignore[attr-defined]
    made = Limiter(redis, deadline_s=DEADLINE_S)
    await warmed(made)
    yield made
    await made.close()
    await redis.aclose()


async def test_slower_than_the_deadline(far: Limiter, proxy: TcpProxy, own_server: RedisServer) -> None:
    proxy.delay_s = 0.12
    start = time.perf_counter()
    with pytest.raises(StoreTimeoutError, match="within 50 ms"):
        await far.acquire([Charge(DENY)])
    assert time.perf_counter() - start < DEADLINE_S + SLACK_S
    proxy.delay_s = 0
    await asyncio.sleep(0.3)  # the late admission is cancelled meanwhile
    assert (await eventually(lambda: far.peek([Charge(DENY)]))).windows[0].used == 0


async def test_cut_in_the_middle_of_a_reply_is_not_sent_again(
    far: Limiter, proxy: TcpProxy, own_server: RedisServer
) -> None:
    proxy.cut_after_bytes = 7
    with pytest.raises(StoreUnavailableError):
        await far.acquire([Charge(DENY)])
    proxy.cut_after_bytes = None
    await asyncio.sleep(0.1)
    assert used(own_server, DENY) == 1, "an acquire whose answer was lost must not be sent twice"
    assert (await eventually(lambda: far.acquire([Charge(DENY)]))).windows[0].used == 2


async def test_replies_that_vanish_hold_nobody_up_for_long(far: Limiter, proxy: TcpProxy) -> None:
    proxy.swallow = True
    for _ in range(3):
        start = time.perf_counter()
        assert (await far.acquire([Charge(ALLOW)])).degraded
        assert time.perf_counter() - start < DEADLINE_S + SLACK_S
    proxy.swallow = False
    # The connection that swallowed is given up within two seconds.
    assert not (await eventually(lambda: far.acquire([Charge(DENY)]), within_s=5)).degraded


async def test_refused_connections_fail_at_once(far: Limiter, proxy: TcpProxy, own_server: RedisServer) -> None:
    proxy.refuse = True
    with own_server.sync() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    await asyncio.sleep(0.15)
    for _ in range(20):
        with pytest.raises(StoreUnavailableError):
            await far.acquire([Charge(DENY)])
    assert proxy.accepted < 15, "the breaker did not keep calls away"
    proxy.refuse = False
    assert (await eventually(lambda: far.acquire([Charge(DENY)]))).windows[0].used == 1


# Local windows ------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def cut_off() -> AsyncIterator[Limiter]:
    """A limiter that never had a Redis."""
    redis = Redis(unix_socket_path="/nonexistent/redis")
    made = Limiter(redis, deadline_s=DEADLINE_S)
    yield made
    await made.close()
    await redis.aclose()


async def test_local_tokens_are_settled_here(cut_off: Limiter) -> None:
    charge = Charge(LOCAL_TOKENS, cost=60)
    first = await cut_off.acquire([charge])
    assert (first.windows[0].used, first.windows[0].remaining) == (60, 40)
    assert not (await cut_off.acquire([charge])).allowed
    await cut_off.settle(first, {"total_tokens": 30})
    second = await cut_off.acquire([charge])
    assert second.windows[0].used == 90
    await cut_off.settle(second, {"total_tokens": 65})
    assert (await cut_off.peek([charge])).windows[0].used == 95
    await cut_off.cancel(second)  # ended already
    assert (await cut_off.peek([charge])).windows[0].used == 95


async def test_local_slots_are_held_renewed_and_given_back(cut_off: Limiter) -> None:
    charge = Charge(LOCAL_SLOTS)
    first, second = await cut_off.acquire([charge]), await cut_off.acquire([charge])
    assert not (await cut_off.acquire([charge])).allowed
    assert await cut_off.renew(first)
    await cut_off.settle(first)
    await cut_off.cancel(second)
    assert (await cut_off.peek([charge])).windows[0].used == 0


async def test_a_share_too_small_for_the_request_waits_for_redis(cut_off: Limiter) -> None:
    cut_off.replicas = 4
    denied = await cut_off.acquire([Charge(LOCAL_TOKENS, cost=26)])
    assert (denied.allowed, denied.denied_by, denied.retry_after_s) == (False, "local-tokens", 1.0)


async def test_shadow_policies_never_deny_here_either(cut_off: Limiter) -> None:
    watched = policy("watched", 1, mode="shadow", on_redis_failure="deny")
    decision = await cut_off.acquire([Charge(watched), Charge(ALLOW)])
    assert decision.allowed
    assert decision.degraded


async def test_a_process_that_stood_still_does_not_blame_redis(limiter: Limiter) -> None:
    """The answer came in time, and lay unread because this process had no time to look."""
    asked = asyncio.create_task(limiter.acquire([Charge(DENY, "stalled")]))
    for _ in range(20):  # until it was sent
        await asyncio.sleep(0)
    time.sleep(2 * DEADLINE_S)  # noqa: ASYNC251 # that is what is tested
    assert (await asked).allowed


async def test_a_process_that_is_overloaded_does_not_blame_redis(limiter: Limiter) -> None:
    """Every turn of the event loop takes longer than the deadline, and an answer needs several."""
    busy = True

    async def hog() -> None:
        while busy:
            time.sleep(DEADLINE_S / 4)  # noqa: ASYNC251 # that is what is tested
            await asyncio.sleep(0)

    async def after_turns(turns: int, asking: Awaitable[Decision]) -> Decision:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await asking

    hogs = [asyncio.create_task(hog()) for _ in range(4)]
    asked = [limiter.acquire([Charge(ALLOW, f"crowded-{number}")]) for number in range(20)]
    try:
        assert not any(decision.degraded for decision in await asyncio.gather(*map(after_turns, range(20), asked)))
    finally:
        busy = False
        await asyncio.gather(*hogs)
