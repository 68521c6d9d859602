"""What frames show of pools, windows and single requests."""

import asyncio

import pytest

from tests.deployments.ingress.conftest import CATALOGUE, _key, secret
from tests.deployments.ingress.live.conftest import Replicas
from tests.deployments.ingress.live.viewing import Stream, seen, stream_window, total, watching

BURST = {"name": "burst", "scope": "TENANT", "limit": 10, "window": "1m"}


@pytest.mark.parametrize("wish", ["slots", "waits"])
async def test_pools_are_shown_with_who_waits_and_who_runs(replicas: Replicas, wish: str) -> None:
    replica = await replicas()
    replica.pools.slots["small"] = 1
    service = replica.pools.services["small"]
    service._engine._options = service._engine._options.model_copy(update={"first_token_ms": 700})
    async with watching(replica.app, "admin1") as stream:
        asked = [asyncio.create_task(replica.ask(key)) for key in ("gus1", "gus1", "paula1")]

        def shown(each: Stream) -> bool:
            for frame in each.frames:
                for pool in frame.pools or ():
                    bands = {band.name: band for band in pool.bands}
                    if pool.name == "small" and pool.slots == 1 and bands["standard"].running == 1:
                        waiting = (bands["standard"].waiting, bands["premium"].waiting)
                        oldest = bands["premium"].oldest_wait_ms > 0 or wish == "slots"
                        if waiting == (1, 1) and oldest:
                            return True
            return False

        await stream.until(shown)
        await asyncio.gather(*asked)
        await stream.until(
            lambda each: any(
                band.overtakings == 1
                for frame in each.frames
                for pool in frame.pools or ()
                for band in pool.bands
                if band.name == "premium"
            )
        )
        replica.pools.router_away = True
        await stream.until(lambda each: each.frames[-1].pools and each.frames[-1].pools[0].slots is None)


async def test_windows_fall_on_the_page_too(replicas: Replicas) -> None:
    replica = await replicas(
        {**BURST, "window": "1s"}, {"name": "slots", "scope": "TENANT", "limit": 5, "unit": "concurrent_requests"}
    )
    async with watching(replica.app, "admin1") as stream:
        await replica.ask()
        for policy in ("burst", "slots"):
            used = lambda each, policy=policy: [w.used for f in each.frames for w in f.windows if w.policy == policy]  # noqa: E731
            await stream.until(lambda each, used=used: used(each)[:1] == [1] and used(each)[-1] == 0)


async def test_a_window_of_slots_can_be_followed_too(replicas: Replicas) -> None:
    replica = await replicas({"name": "slots", "scope": "TENANT", "limit": 5, "unit": "concurrent_requests"})
    async with watching(replica.app, "admin1", query="policy=slots&subject=globex") as stream:
        assert stream.hello.watching is not None
        await replica.ask()
        await stream.until(seen("finished", 1))
        await stream.until(lambda each: stream_window(each.frames).used == 0)
        assert not any(frame.log.entries for frame in stream.frames if frame.log)


async def test_decisions_for_other_gateways_are_shown(replicas: Replicas) -> None:
    keys = [*CATALOGUE["keys"], _key("gate", "paula", role="gateway")]
    replica = await replicas(BURST, keys=keys)
    async with watching(replica.app, "admin1") as stream:
        await replica.client.post(
            "/v1/decisions",
            json={"api_key": "gus1", "model": "small"},
            headers={"authorization": f"Bearer {secret('gate')}", "x-request-id": "from-gate"},
        )
        await stream.until(seen("allowed", 1))
        (request,) = [each for frame in stream.frames for each in frame.requests]
        assert (request.id, request.tenant, request.api_key) == ("from-gate", "globex", "gus1")


async def test_ids_are_the_replies_own(replicas: Replicas) -> None:
    replica = await replicas(BURST)
    async with watching(replica.app, "admin1") as stream:
        reply = await replica.ask()
        await replica.ask(headers={"x-request-id": "x" * 5_000})
        await stream.until(lambda each: sum(len(frame.requests) for frame in each.frames) == 2)
        ids = [each.id for frame in stream.frames for each in frame.requests]
        assert ids == [reply.headers["x-request-id"], "x" * 128]


async def test_what_a_request_ends_with(replicas: Replicas) -> None:
    replica = await replicas()
    async with watching(replica.app, "admin1") as stream:
        await replica.ask(stream=True, headers={"x-request-id": "streamed"})
        await replica.ask(model="ghost", headers={"x-request-id": "no pool"})
        await replica.ask(model="none", headers={"x-request-id": "no model"})
        await stream.until(lambda each: sum(len(frame.endings) for frame in each.frames) == 3)
        ended = {each.id: each for frame in stream.frames for each in frame.endings}
        frames = stream.frames
    streamed = ended["streamed"]
    assert (streamed.status, streamed.code, streamed.model, streamed.output_tokens) == (200, None, "small", 5)
    assert streamed.wait_ms is not None
    assert streamed.ttft_ms is not None
    assert streamed.wait_ms <= streamed.ttft_ms <= streamed.total_ms
    assert (ended["no pool"].status, ended["no pool"].code) == (503, "model_unavailable")
    assert (ended["no model"].status, ended["no model"].code) == (404, "model_not_found")
    assert ended["no model"].ttft_ms is None
    assert (total(frames, "failed"), total(frames, "finished")) == (1, 1)


async def test_a_client_that_leaves_is_an_ending_too(replicas: Replicas) -> None:
    replica = await replicas()
    replica.pools.slots["small"] = 1
    service = replica.pools.services["small"]
    service._engine._options = service._engine._options.model_copy(update={"first_token_ms": 60_000})
    async with watching(replica.app, "admin1") as stream:
        leaving = asyncio.create_task(replica.ask())
        await stream.until(seen("allowed", 1))
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await stream.until(lambda each: any(frame.endings for frame in each.frames))
        (ending,) = [each for frame in stream.frames for each in frame.endings]
        assert (ending.status, ending.code) == (499, None)
