"""A Redis Cluster: what a decision leaves on each node, slots that move, nodes that die, many processes at once."""

import asyncio
import multiprocessing
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.crc import key_slot

from policies import Charge, Decision, Limiter, RateLimitPolicy
from policies.connect import connect
from policies.errors import StoreError, StoreUnavailableError
from tests.policies.cluster_worker import BUSY, run_worker
from tests.policies.redis_nodes import ClusterGroup
from tests.policies.redis_server import RedisServer, binaries

PROCESSES = 8


def policy(name: str, scope: str = "TENANT", limit: int = 100, **fields: Any) -> RateLimitPolicy:
    return RateLimitPolicy(**{"name": name, "scope": scope, "limit": limit, "window": "10m", **fields})


TENANT, MODEL, GLOBAL = policy("tenant"), policy("model", "MODEL"), policy("all", "GLOBAL", 5)


@pytest.fixture(scope="module")
def shared() -> Iterator[ClusterGroup]:
    made = ClusterGroup(next(iter(binaries().values())))
    yield made
    made.close()


@pytest.fixture
def cluster(shared: ClusterGroup) -> ClusterGroup:
    shared.empty()
    return shared


@pytest_asyncio.fixture
async def limiter(cluster: ClusterGroup) -> AsyncIterator[Limiter]:
    async with limiter_of(cluster) as made:
        yield made


@asynccontextmanager
async def limiter_of(cluster: ClusterGroup, deadline_s: float = 5) -> AsyncIterator[Limiter]:
    client = connect(cluster.url)
    made = Limiter(client, deadline_s=deadline_s)
    for server in cluster.primaries:
        await eventually(lambda server=server: made.peek([on(cluster, server, TENANT)]))  # type: ignore[misc]
    yield made
    await made.close()
    await client.aclose()


def on(cluster: ClusterGroup, server: RedisServer, which: RateLimitPolicy, cost: int = 1) -> Charge:
    """A charge whose window is kept on that server."""
    slot = next(f"s{n}" for n in count() if cluster.owner(key_slot(f"{{s{n}}}".encode())) is server)
    return Charge(which, "x", cost, slot)


async def eventually(ask: Any, within_s: float = 15) -> Any:
    give_up = time.monotonic() + within_s
    while True:
        try:
            return await ask()
        except StoreError:
            assert time.monotonic() < give_up, "decisions do not resume"
            await asyncio.sleep(0.02)


def scripts_run(cluster: ClusterGroup) -> int:
    calls = 0
    for server in cluster.primaries:
        with server.sync() as client:
            calls += client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
    return calls


def used(decision: Decision) -> list[int]:
    return [window.used for window in decision.windows]


async def test_one_call_a_group_and_an_answer_for_every_charge(cluster: ClusterGroup, limiter: Limiter) -> None:
    a, b, c = cluster.primaries
    charges = [on(cluster, c, GLOBAL), on(cluster, a, TENANT), on(cluster, b, MODEL), on(cluster, a, policy("other"))]
    await limiter.cancel(await limiter.acquire(charges))  # so that each node knows the scripts
    before = scripts_run(cluster)
    for admitted in range(1, 6):
        assert used(await limiter.acquire(charges)) == [admitted] * 4
    assert scripts_run(cluster) - before == 5 * 3
    before = scripts_run(cluster)
    denied = await limiter.acquire(charges)  # by the last group: the two before it are taken back
    assert (denied.allowed, denied.denied_by, used(denied)) == (False, "all", [5] * 4)
    assert scripts_run(cluster) - before == 3 + 2
    assert used(await limiter.peek(charges)) == [5] * 4


async def test_denied_by_the_narrowest_the_others_are_only_looked_at(cluster: ClusterGroup, limiter: Limiter) -> None:
    a, b, c = cluster.primaries
    charges = [on(cluster, c, GLOBAL), on(cluster, b, MODEL), on(cluster, a, policy("one", limit=1))]
    await limiter.acquire(charges)
    before = [cluster.primaries[n].dump() for n in range(3)]
    denied = await limiter.acquire(charges)
    assert (denied.denied_by, used(denied)) == ("one", [1, 1, 1])
    assert [cluster.primaries[n].dump() for n in range(3)] == before


async def test_settle_cancel_and_renew_reach_every_group(cluster: ClusterGroup, limiter: Limiter) -> None:
    charges = [
        on(cluster, server, policy(f"t{n}", unit="total_tokens"), 10) for n, server in enumerate(cluster.primaries)
    ]
    slots = [
        on(cluster, server, policy(f"c{n}", unit="concurrent_requests")) for n, server in enumerate(cluster.primaries)
    ]
    first, second = await limiter.acquire(charges + slots), await limiter.acquire(charges + slots)
    assert await limiter.renew(first)
    await limiter.settle(first, {"total_tokens": 4})
    assert used(await limiter.peek(charges + slots)) == [14] * 3 + [1] * 3
    await limiter.settle(first, {"total_tokens": 9})
    await limiter.cancel(second)
    assert used(await limiter.peek(charges + slots)) == [4] * 3 + [0] * 3
    assert not await limiter.renew(second)


async def test_a_slot_on_the_move_loses_and_doubles_nothing(cluster: ClusterGroup, limiter: Limiter) -> None:
    """Keys leave one node for another under traffic: first ASK (and TRYAGAIN while only some are there), then MOVED."""
    source, target = cluster.primaries[:2]
    charge = on(cluster, source, policy("moving", limit=10**6))
    slot = key_slot(f"{{{charge.slot}}}".encode())
    await limiter.acquire([charge])
    admitted, going = 1, True

    async def ask() -> None:
        nonlocal admitted
        while going:
            decision = await limiter.acquire([charge])
            admitted += decision.allowed

    tasks = [asyncio.create_task(ask()) for _ in range(4)]
    async with Redis(unix_socket_path=source.socket) as there, Redis(unix_socket_path=target.socket) as here:
        await here.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.node_id(source))
        await there.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.node_id(target))
        for key in await there.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10):
            await asyncio.sleep(0.05)
            await there.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5_000)
        await asyncio.sleep(0.05)
        for each in (here, there):
            await each.execute_command("CLUSTER", "SETSLOT", slot, "NODE", cluster.node_id(target))
        await asyncio.sleep(0.1)
        going = False
        await asyncio.gather(*tasks)
        assert used(await limiter.peek([charge])) == [admitted]
        assert admitted > 20
        for each in (there, here):  # back, for the next test
            await each.flushall()
            await each.execute_command("CLUSTER", "SETSLOT", slot, "NODE", cluster.node_id(source))


async def test_a_node_that_dies_takes_its_windows_only() -> None:
    """Without a replica, and `cluster-require-full-coverage no`: the other nodes' windows stay exact."""
    cluster = ClusterGroup(next(iter(binaries().values())), options=("--cluster-require-full-coverage", "no"))
    try:
        async with limiter_of(cluster, deadline_s=0.2) as limiter:
            a, b, _ = cluster.primaries
            tenant = on(cluster, a, TENANT)
            strict, lax, here = (
                on(cluster, b, policy(mode, "GLOBAL", 4, on_redis_failure=mode)) for mode in ("deny", "allow", "local")
            )
            held = [on(cluster, server, policy("t", unit="total_tokens"), 10) for server in (b, a)]
            before = await limiter.acquire(held)
            b.kill()
            for _ in range(10):
                with pytest.raises(StoreUnavailableError):
                    await limiter.acquire([tenant, strict])
            allowed = [await limiter.acquire([tenant, lax, here]) for _ in range(6)]
            assert [decision.allowed for decision in allowed] == [True] * 4 + [False] * 2
            assert all(decision.degraded for decision in allowed)
            assert used(allowed[3])[0] == 4  # what `strict` refused was given back
            assert used(await limiter.peek([tenant])) == [4]
            await limiter.cancel(allowed[0])
            assert used(await limiter.acquire([tenant, here])) == [4, 4]
            with pytest.raises(StoreUnavailableError):  # its part on the dead node; the other is settled
                await limiter.settle(before, {"total_tokens": 3})
            assert used(await limiter.peek(held[1:])) == [3]
    finally:
        cluster.close()


async def test_nothing_stays_of_a_request_that_a_frozen_node_let_down(cluster: ClusterGroup) -> None:
    """Neither where it was taken before, nor where it is taken too late; also when the caller leaves."""
    a, b, c = cluster.primaries
    charges = [on(cluster, a, TENANT), on(cluster, b, GLOBAL), on(cluster, c, policy("last", "GLOBAL"))]
    async with limiter_of(cluster, deadline_s=0.1) as limiter:
        await eventually(lambda: limiter.acquire(charges))
        b.signal(signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            await limiter.acquire(charges)
        assert time.monotonic() - start < 0.1 + 0.05, "one deadline for all of the decision"
        leaving = asyncio.create_task(limiter.acquire(charges))
        await asyncio.sleep(0.03)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await asyncio.sleep(0.1)
        assert used(await limiter.peek(charges[:1])) == [1]
        b.signal(signal.SIGCONT)

        async def as_before() -> None:
            if used(await limiter.peek(charges)) != [1, 1, 1]:
                raise StoreError("not yet")

        await eventually(as_before)


async def test_a_replica_takes_over() -> None:
    cluster = ClusterGroup(next(iter(binaries().values())), replicas=1)
    try:
        async with limiter_of(cluster, deadline_s=0.2) as limiter:
            charges = [on(cluster, server, GLOBAL) for server in cluster.primaries]
            charges = [Charge(policy(f"p{n}"), "x", 1, charge.slot) for n, charge in enumerate(charges)]
            assert used(await eventually(lambda: limiter.acquire(charges))) == [1, 1, 1]
            with cluster.primaries[0].sync() as client:
                assert client.wait(1, 5_000) == 1
            cluster.primaries[0].kill()
            start = time.monotonic()
            decision = await eventually(lambda: limiter.acquire(charges))
            print(f"decisions resumed after {time.monotonic() - start:.2f} s")
            assert used(decision) == [2, 2, 2]
    finally:
        cluster.close()


# Many processes ------------------------------------------------------------------------------------------------


async def test_no_window_is_ever_over_its_limit(cluster: ClusterGroup, limiter: Limiter) -> None:
    context = multiprocessing.get_context("forkserver")  # which imports once for all of them
    context.set_forkserver_preload([run_worker.__module__])
    pipes, processes = [], []
    for seed in range(PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(target=run_worker, args=(cluster.url, seed, theirs), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)
    admitted: list[tuple[str, str, int, int]] = []
    denied = 0
    for pipe in pipes:
        mine, refused = pipe.recv()
        admitted += mine
        denied += refused
    for process in processes:
        process.join(10)
    requests = sum(name == "ever" for name, *_ in admitted)
    print(f"{requests} admitted, {denied} denied")
    assert requests > 100  # however busy the machine
    assert denied > 20
    for each in BUSY:
        logs: dict[str, list[tuple[int, int]]] = {}
        for name, subject, ms, cost in admitted:
            if name == each.name:
                logs.setdefault(subject, []).append((ms, cost))
        for subject, log in logs.items():
            limit = each.limit if each.shards == 1 else each.limit_of(int(subject.rpartition("#")[2]))
            log.sort()
            inside, first = 0, 0
            for ms, cost in log:
                inside += cost
                while log[first][0] <= ms - each.window:
                    inside -= log[first][1]
                    first += 1
                assert inside <= limit, f"{each.name} {subject} held {inside} of {limit}"
    # What was taken and given back at the edges is gone.
    assert used(await limiter.peek([Charge(BUSY[-1])])) == [requests]
