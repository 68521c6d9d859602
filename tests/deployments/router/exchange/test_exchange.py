"""The exchange as a simulation: the real code of both sides, virtual time, a bad network, deaths at any moment."""

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.router.contract import QueueFullError, QueueTimeoutError
from deployments.router.exchange.timing import GRACE_S, IDLE_LEASE_S, SILENCE_S
from deployments.router.scheduler import BandSettings, QosSettings
from tests.deployments.router.exchange.world import Network, World, wanted
from tests.deployments.router.virtual_time import run

BANDS = ("internal", "premium", "standard", "batch")


async def _settled_world(slots: int, network: Network | None = None, **fields: object) -> World:
    world = World(network or Network(Random(0)), {"p": slots}, **fields)  # type: ignore[arg-type] # fields of World
    world.start_router()
    await asyncio.sleep(GRACE_S + 0.2)
    return world


async def _close(world: World) -> None:
    for task in [*world.background, *world.jobs]:
        task.cancel()
    for name in list(world.ingresses):
        await world.kill_ingress(name)
    if world.service is not None:
        await world.kill_router()


def test_an_uncontended_request_calls_nobody() -> None:
    async def scenario() -> None:
        world = await _settled_world(16)
        ingress = world.start_ingress()
        await world.request(ingress, wanted(), 0.1)
        calls, at = ingress.calls, asyncio.get_running_loop().time()
        for _ in range(200):
            assert await world.request(ingress, wanted(), 0.05) == "done"
        passed_s = asyncio.get_running_loop().time() - at
        assert ingress.holder.started_alone == 200
        assert ingress.calls - calls <= passed_s + 3, "heartbeats, and what was never used going back"
        await _close(world)

    run(scenario())


def test_a_slot_on_loan_is_taken_without_giving_way() -> None:
    async def scenario() -> None:
        world = await _settled_world(16)
        ingress = world.start_ingress()
        await world.request(ingress, wanted(), 0.1)
        admission = ingress.admit(wanted())
        with pytest.raises(StopIteration):  # it ran to its end without waiting for anything
            admission.send(None)
        await _close(world)

    run(scenario())


def test_what_another_ingress_has_on_loan_comes_back_for_who_waits() -> None:
    async def scenario() -> None:
        world = await _settled_world(4)
        rich, poor = world.start_ingress(), world.start_ingress()
        await asyncio.gather(*(world.request(rich, wanted(), 0.1) for _ in range(4)))
        for _ in range(20):
            await world.request(rich, wanted(), 0.01)
        assert rich.holder.unused("p") >= 1
        started_at = asyncio.get_running_loop().time()
        jobs = [world.spawn(poor, wanted(), 1.0) for _ in range(4)]
        while poor.holder.in_use("p") < 4:
            await asyncio.sleep(0.001)
        assert asyncio.get_running_loop().time() - started_at < 0.05
        await asyncio.gather(*jobs)
        await _close(world)

    run(scenario())


def test_unused_slots_go_back_after_a_while() -> None:
    async def scenario() -> None:
        world = await _settled_world(8)
        ingress = world.start_ingress()
        await world.request(ingress, wanted(), 0.1)
        assert ingress.holder.unused("p") >= 1
        await asyncio.sleep(IDLE_LEASE_S + 1)
        assert ingress.holder.unused("p") == 0
        assert world.service is not None
        assert world.service.book.statistics()[0].used == 0
        await _close(world)

    run(scenario())


def test_slots_that_are_gone_come_back_from_loan() -> None:
    async def scenario() -> None:
        capacity = {"p": 8}
        world = World(Network(Random(0)), capacity)
        world.start_router()
        await asyncio.sleep(GRACE_S + 0.2)
        ingress = world.start_ingress()
        await asyncio.gather(*(world.request(ingress, wanted(), 0.1) for _ in range(4)))
        assert ingress.holder.unused("p") == 2
        capacity["p"] = 1
        await asyncio.sleep(0.2)
        assert ingress.holder.unused("p") <= 1
        jobs = [world.spawn(ingress, wanted(), 0.5) for _ in range(4)]
        await asyncio.gather(*jobs)
        assert world.outcomes == ["done"] * 4, "and the world has seen no second one in use"
        await _close(world)

    run(scenario())


def test_a_higher_band_goes_first() -> None:
    async def scenario() -> None:
        world = await _settled_world(1, settings=QosSettings(bands=[BandSettings(name=b) for b in BANDS]))  # type: ignore[arg-type] # pydantic makes a tuple
        one, two = world.start_ingress(), world.start_ingress()
        order: list[str] = []

        async def job(ingress: object, band: str) -> None:
            await world.request(ingress, wanted(band=band), 1.0)  # type: ignore[arg-type]
            order.append(band)

        jobs = [asyncio.create_task(job(one, "batch")) for _ in range(3)]
        await asyncio.sleep(0.5)
        jobs += [asyncio.create_task(job(two, band)) for band in ("standard", "premium", "internal")]
        await asyncio.gather(*jobs)
        assert order == ["batch", "internal", "premium", "standard", "batch", "batch"]
        await _close(world)

    run(scenario())


def test_who_leaves_is_out_of_the_queue_at_once() -> None:
    async def scenario() -> None:
        world = await _settled_world(1)
        ingress = world.start_ingress()
        assert world.service is not None
        first = world.spawn(ingress, wanted(), 1.0)
        await asyncio.sleep(0.1)
        second = asyncio.create_task(ingress.admit(wanted()))
        await asyncio.sleep(0.1)
        assert world.service.book.waiting() == {"p": 1}
        second.cancel()
        await asyncio.sleep(0.02)
        assert world.service.book.waiting() == {"p": 0}
        await first
        assert await world.request(ingress, wanted(), 0.1) == "done"
        await _close(world)

    run(scenario())


@pytest.mark.parametrize("after_s", [n * 0.0005 for n in range(14)])
def test_leaving_at_any_moment_loses_no_slot(after_s: float) -> None:
    async def scenario() -> None:
        world = await _settled_world(1, settings=QosSettings(lease_block=0))
        ingress = world.start_ingress()
        await asyncio.sleep(0.1)
        request = asyncio.create_task(ingress.admit(wanted()))
        await asyncio.sleep(after_s)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        if not request.cancelled():
            ingress.release(request.result(), None)
        assert await world.request(ingress, wanted(wait_s=1.0), 0.1) == "done"
        await _close(world)

    run(scenario())


def test_refusals_say_when_to_come_back() -> None:
    async def scenario() -> None:
        bands = [BandSettings(name=name, queue_bound=1) for name in BANDS]
        world = await _settled_world(1, settings=QosSettings(bands=bands, lease_block=0))  # type: ignore[arg-type] # pydantic makes a tuple
        ingress = world.start_ingress()
        for _ in range(5):
            await world.request(ingress, wanted(), 2.0)
        world.spawn(ingress, wanted(), 2.0)
        await asyncio.sleep(0.1)
        with pytest.raises(QueueTimeoutError):
            await ingress.admit(wanted(wait_s=0.5))
        waits = asyncio.create_task(ingress.admit(wanted()))
        await asyncio.sleep(0.1)
        with pytest.raises(QueueFullError) as caught:
            await ingress.admit(wanted())
        assert 0.5 < caught.value.retry_after_s < 5
        ingress.release(await waits, 1)
        await _close(world)

    run(scenario())


def test_an_ingress_that_died_gives_its_slots_back() -> None:
    async def scenario() -> None:
        world = await _settled_world(4)
        victim, heir = world.start_ingress(), world.start_ingress()
        for _ in range(4):
            world.spawn(victim, wanted(), 1_000)
        await asyncio.sleep(0.5)
        jobs = [world.spawn(heir, wanted(), 1.0) for _ in range(4)]
        await asyncio.sleep(0.5)
        died_at = asyncio.get_running_loop().time()
        await world.kill_ingress("ingress-1")
        while heir.holder.in_use("p") < 4:
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - died_at < 5
        await asyncio.gather(*jobs)
        await _close(world)

    run(scenario())


def test_a_router_that_died_is_rebuilt_from_what_the_ingresses_say() -> None:
    async def scenario() -> None:
        world = await _settled_world(4)
        ingress = world.start_ingress()
        long = [world.spawn(ingress, wanted(), 20.0) for _ in range(3)]
        await asyncio.sleep(0.5)
        await world.kill_router()
        late = [world.spawn(ingress, wanted(), 1.0) for _ in range(3)]
        await asyncio.sleep(1.0)
        assert ingress.holder.in_use("p") >= 3, "what runs goes on"
        world.start_router()
        await asyncio.sleep(GRACE_S + 0.5)
        assert ingress.holder.in_use("p") == 4
        await asyncio.gather(*late)
        assert world.outcomes == ["done"] * 3
        await asyncio.gather(*long)
        assert world.outcomes == ["done"] * 6
        await asyncio.sleep(IDLE_LEASE_S + 1)
        assert world.service is not None
        assert world.service.book.statistics()[0].used == 0
        await _close(world)

    run(scenario())


def test_without_a_router_requests_wait_as_long_as_they_may_and_no_longer() -> None:
    async def scenario() -> None:
        world = await _settled_world(4)
        ingress = world.start_ingress()
        await world.kill_router()
        at = asyncio.get_running_loop().time()
        assert await world.request(ingress, wanted(wait_s=3.0), 1.0) == "QueueTimeoutError"
        assert 3 <= asyncio.get_running_loop().time() - at < 4
        await _close(world)

    run(scenario())


@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.05, 0.3]),
    double=st.sampled_from([0.0, 0.3]),
    slowest_s=st.sampled_from([0.002, 0.05, 0.3]),
    slots=st.integers(1, 12),
    deaths=st.lists(st.tuples(st.floats(0.0, 30.0), st.sampled_from(["router", "ingress"])), max_size=5),
    requests=st.integers(5, 120),
)
@settings(max_examples=60, deadline=None)
def test_never_over_capacity_and_nothing_lost(
    seed: int,
    loss: float,
    double: float,
    slowest_s: float,
    slots: int,
    deaths: list[tuple[float, str]],
    requests: int,
) -> None:
    async def scenario() -> None:
        random = Random(seed)
        world = World(Network(random, loss, double, (0.0005, slowest_s)), {"p": slots, "q": 2})
        world.start_router()
        for _ in range(3):
            world.start_ingress()

        async def kill(at_s: float, whom: str) -> None:
            await asyncio.sleep(at_s)
            if whom == "ingress":
                victim = random.choice(sorted(world.ingresses))
                world.start_ingress()
                await world.kill_ingress(victim)
            elif world.service is not None:
                await world.kill_router()
                await asyncio.sleep(random.uniform(0.0, 6.0))
                world.start_router()

        async def arrive() -> None:
            await asyncio.sleep(random.uniform(0.0, 30.0))
            ingress = world.ingresses[random.choice(sorted(world.ingresses))]
            band, pool = random.choice(BANDS), random.choice("ppq")
            task = world.spawn(ingress, wanted(pool, band, random.choice("abc"), 20.0), random.expovariate(1.0))
            if random.random() < 0.2:
                await asyncio.sleep(random.expovariate(2.0))
                task.cancel()
            await asyncio.wait([task])

        await asyncio.gather(*(kill(*death) for death in deaths), *(arrive() for _ in range(requests)))
        await asyncio.sleep(SILENCE_S + IDLE_LEASE_S + GRACE_S + 2)
        assert world.service is not None
        for pool in world.service.book.statistics():
            assert (pool.used, pool.waiting) == (0, 0), f"a slot of {pool.name} is lost"
        for ingress in world.ingresses.values():
            assert ingress.holder.waiting == 0
        # And it goes on: every slot can be had again, over a network that is good again.
        world.network = Network(random)
        lively = next(iter(world.ingresses.values()))
        jobs = [world.spawn(lively, wanted("p", "standard"), 8.0) for _ in range(slots)]
        await asyncio.sleep(7.0)
        assert world.in_use("p") == slots
        await asyncio.gather(*jobs)
        await _close(world)

    run(scenario())
