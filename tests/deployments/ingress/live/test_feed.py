"""The whole feed with several replicas: everybody sees the same, exactly what was sent; nobody waits for anybody."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from deployments.ingress.live import feed as feed_module
from deployments.ingress.live import hub as hub_module
from deployments.ingress.live import viewer as viewer_module
from tests.deployments.ingress.conftest import _key, secret, use
from tests.deployments.ingress.live.conftest import Replica, Replicas
from tests.deployments.ingress.live.viewing import log_of, seen, stream_window, total, watching
from tests.policies.redis_nodes import ClusterGroup
from tests.policies.redis_server import RedisServer, binaries

BURST = {"name": "burst", "scope": "TENANT", "limit": 10, "window": "1m"}
WATCH = "policy=burst&subject=globex"


async def test_viewers_at_any_replica_see_what_happens_at_every_replica(replicas: Replicas) -> None:
    one, other = await replicas(BURST), await replicas(BURST)
    async with (
        watching(one.app, "admin1", query=WATCH) as here,
        watching(other.app, "admin1", query=WATCH) as there,
    ):
        for stream in (here, there):
            await stream.until(lambda each: each.frames and each.frames[-1].replicas == 2)
        statuses = Counter([(await replica.ask()).status_code for _ in range(7) for replica in (one, other)])
        assert statuses == {200: 10, 429: 4}
        for stream in (here, there):
            await stream.until(lambda each: total(each.frames, "denied") == 4 and total(each.frames, "finished") == 10)
            frames = stream.frames
            assert total(frames, "allowed") == 10
            assert sum(frame.denied_by.get("burst", 0) for frame in frames) == 4
            assert len({each.id for frame in frames for each in frame.requests}) == 14
            assert len({each.id for frame in frames for each in frame.endings}) == 14
            entries = [entry for frame in frames if frame.log for entry in frame.log.entries]
            assert [ordinal for _, ordinal, _ in entries] == list(range(1, 11))
            (window,) = [each for each in frames[-1].windows if each.policy == "burst"] or [stream_window(frames)]
            assert (window.used, window.remaining) == (10, 0)
        assert [e for f in here.frames if f.log for e in f.log.entries] == [
            e for f in there.frames if f.log for e in f.log.entries
        ]


async def test_a_burst_is_sampled_and_counted_exactly(replicas: Replicas) -> None:
    policy = {**BURST, "limit": 25}
    one, other = await replicas(policy), await replicas(policy)
    async with watching(one.app, "admin1") as stream:
        await stream.until(lambda each: each.frames and each.frames[-1].replicas == 2)
        replies = await asyncio.gather(*(replica.ask() for _ in range(300) for replica in (one, other)))
        assert Counter(reply.status_code for reply in replies) == {200: 25, 429: 575}
        await stream.until(lambda each: total(each.frames, "denied") >= 575 and total(each.frames, "finished") >= 25)
        frames = stream.frames
    assert total(frames, "allowed") == total(frames, "finished") == 25
    assert total(frames, "denied") == sum(frame.denied_by.get("burst", 0) for frame in frames) == 575
    assert sum(number for frame in frames for each in frame.counts for number in each.waits.values()) == 25
    assert max(frame.sampled for frame in frames) > 1
    assert all(len(frame.requests) <= 64 and len(frame.endings) <= 64 for frame in frames)
    assert all(len(frame.requests) > 8 for frame in frames if frame.sampled > 1)


async def test_a_tenant_sees_its_own_share_and_nothing_else(replicas: Replicas) -> None:
    policies = (
        BURST,
        {"name": "each-key", "scope": "API_KEY", "limit": 1_000, "window": "1m"},
        {"name": "everyone", "scope": "GLOBAL", "limit": 1_000, "window": "1m"},
        {"name": "theirs", "scope": "TENANT", "limit": 999, "window": "2m", "match": {"tenant": "acme"}},
    )
    replica = await replicas(*policies)
    async with (
        watching(replica.app, "onlysmall", "/v1/limits/live", WATCH) as stream,
        watching(replica.app, "admin1") as everything,
    ):
        assert stream.hello.tenant == "globex"
        for _ in range(4):
            await replica.ask("paula1", headers={"x-request-id": "of-acme"})
            await replica.ask("paula1", model="large")
            await replica.ask("gus1")
        await everything.until(seen("finished", 12))
        await stream.until(seen("finished", 4))
        await stream.frame()
        frames, text = stream.frames, stream.raw.decode()
    assert total(frames, "allowed") == total(frames, "finished") == 4
    assert {each.api_key for frame in frames for each in frame.requests} == {"gus1"}
    assert {each.band for frame in frames for each in frame.counts} == {"standard"}
    for secret_of_acme in ("acme", "paula", "theirs", "of-acme", 'premium","allowed', "large"):
        assert secret_of_acme not in text, secret_of_acme
    shown = {(each.policy, each.subject) for frame in frames for each in frame.windows}
    mine = (await replica.client.get("/v1/limits", headers={"authorization": f"Bearer {secret('onlysmall')}"})).json()
    assert shown == {(each["policy"], each["subject"]) for each in mine["windows"]}
    assert ("each-key", "gus1") not in shown, "GET /v1/limits shows a key its own windows"
    running = [band.running for frame in frames for pool in frame.pools or () for band in pool.bands]
    assert max(running) <= 1
    assert {pool.name for frame in frames for pool in frame.pools or ()} == {"small"}
    assert "acme" in everything.raw.decode()


async def test_a_slow_viewer_is_dropped_and_nobody_waits_for_it(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_module, "MOST_QUEUED", 5)
    monkeypatch.setattr(viewer_module, "FAREWELL_S", 60)
    replica = await replicas(BURST)
    async with watching(replica.app, "admin1") as slow, watching(replica.app, "admin1") as quick:
        slow.reads.clear()
        for number in range(20):
            await replica.ask()
            await quick.until(seen("denied", number - 9))
            await quick.until(seen("allowed", min(number + 1, 10)))
        await quick.until(lambda each: total(each.frames, "denied") == 10)
        assert quick.end is None
        assert replica.state.feed.hub.viewers == 2
        slow.reads.set()
        await slow.until(lambda each: each.end)
        assert slow.end is not None
        assert slow.end.reason == "slow"
        assert len(slow.frames) <= 7
        async with asyncio.timeout(10):
            while replica.state.feed.hub.viewers > 1:
                await asyncio.sleep(0.01)


async def test_a_viewer_that_takes_nothing_at_all_is_left(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_module, "MOST_QUEUED", 2)
    monkeypatch.setattr(viewer_module, "FAREWELL_S", 0.2)
    replica = await replicas(BURST)
    async with watching(replica.app, "admin1") as stuck:
        stuck.reads.clear()
        async with asyncio.timeout(10):
            while replica.state.feed.hub.viewers:
                await replica.ask()
                await asyncio.sleep(0.05)


async def test_nothing_is_told_while_nobody_watches(replicas: Replicas, redis_server: RedisServer) -> None:
    one, other = await replicas(BURST), await replicas(BURST)
    with redis_server.sync() as redis:
        for replica in (one, other):
            await replica.ask()
            assert not replica.state.feed.recorder.watched
        assert not redis.keys("sluice:{live}:*")
        async with watching(one.app, "admin1") as stream:
            await stream.until(lambda each: each.frames and each.frames[-1].replicas == 2)
            assert {key: 0 < redis.pttl(key) <= 10_000 for key in redis.keys("sluice:{live}:*")} == {
                b"sluice:{live}:news": True,
                b"sluice:{live}:watched": True,
            }
        async with asyncio.timeout(20):
            while one.state.feed.recorder.watched or other.state.feed.recorder.watched:
                await asyncio.sleep(0.05)
        length = redis.xlen("sluice:{live}:news")
        await one.ask()
        await asyncio.sleep(0.3)
        assert one.state.feed.recorder.take() is None
        assert redis.xlen("sluice:{live}:news") == length


async def test_it_works_the_same_on_a_cluster() -> None:
    cluster = ClusterGroup(next(iter(binaries().values())))
    replica = Replica(cluster.url)
    try:
        await replica.start(BURST, {"name": "everyone", "scope": "GLOBAL", "limit": 5, "window": "1m"})
        async with (
            watching(replica.app, "admin1", query=WATCH) as tenants,
            watching(replica.app, "admin1", query="policy=everyone") as everyones,
        ):
            for _ in range(7):
                await replica.ask()
            for stream in (tenants, everyones):
                await stream.until(
                    lambda each: total(each.frames, "denied") == 2 and total(each.frames, "finished") == 5
                )
                # What a narrower window admits and a wider one denies is taken back.
                await stream.until(lambda each: sum(log_of(each.frames).values()) == 5)
                await stream.until(lambda each: stream_window(each.frames).used == 5)
                assert {each.policy: each.used for frame in stream.frames for each in frame.windows} == {
                    "burst": 5,
                    "everyone": 5,
                }
    finally:
        await replica.close()
        cluster.close()


async def test_redis_stops_and_comes_back(own_redis: RedisServer) -> None:
    replica = await Replica(f"unix://{own_redis.socket}").start({**BURST, "on_redis_failure": "allow"})
    try:
        async with watching(replica.app, "admin1", query=WATCH) as stream:
            await replica.ask()
            await stream.until(seen("finished", 1))
            own_redis.kill()
            await stream.until(lambda each: each.frames[-1].store == "unreachable")
            began = len(stream.frames)
            assert (await replica.ask()).status_code == 200
            await stream.until(lambda each: len(each.frames) >= began + 2)
            assert all(frame.store == "unreachable" for frame in stream.frames[began:])
            assert stream.end is None
            own_redis.start()
            await stream.until(lambda each: each.frames[-1].store == "ok")
            await replica.ask()
            await stream.until(seen("finished", 3))
            frames = stream.frames
            assert total(frames, "allowed") == 3, "what happened meanwhile is told late, and once"
            log = next(frame.log for frame in reversed(frames) if frame.log)
            assert log.window.used == 1, "the new Redis knows of one"
            fresh = [frame.log for frame in frames if frame.log and frame.log.fresh]
            assert len(fresh) >= 2, "what was told of the log before is to be forgotten"
    finally:
        await replica.close()


async def test_a_viewer_may_come_while_redis_is_away(own_redis: RedisServer) -> None:
    replica = await Replica(f"unix://{own_redis.socket}").start(BURST)
    try:
        await replica.ask("admin1")  # its key is known
        own_redis.kill()
        async with watching(replica.app, "admin1") as stream:
            assert stream.status == 200
            await stream.until(lambda each: each.frames)
            assert stream.frames[0].store == "unreachable"
        async with watching(replica.app, "admin1", query=WATCH) as stream:
            assert stream.status == 503
    finally:
        own_redis.start()
        await replica.close()


async def test_the_stream_ends_with_the_key(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.ingress.live.routes.CHECK_S", 0.05)
    replica = await replicas(BURST)
    async with (
        watching(replica.app, "gus1", "/v1/limits/live") as mine,
        watching(replica.app, "admin1") as admin,
    ):
        keys = [_key("admin1", "paula", role="admin"), _key("gus1", "gus", revoked=True)]
        use(replica.state, BURST, keys=keys)
        await mine.until(lambda each: each.end)
        assert mine.end is not None
        assert mine.end.reason == "key"
        await admin.frame()
        assert admin.end is None
        use(replica.state, BURST, keys=[_key("admin1", "paula", role="inference")])
        await admin.until(lambda each: each.end)


async def test_every_stream_ends_when_the_replica_closes(replicas: Replicas) -> None:
    replica = await replicas(BURST)
    async with watching(replica.app, "admin1") as stream:
        await stream.frame()
        await replica.state.feed.close()
        await stream.until(lambda each: each.done.is_set())
        assert stream.end is not None
        assert stream.end.reason == "closing"
        async with watching(replica.app, "admin1") as late:
            assert late.status == 503


async def test_a_replica_that_nobody_asks_for_its_health_sends_its_viewers_away(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "UNASKED_S", 0.5)
    replica = await replicas(BURST)
    async with watching(replica.app, "admin1") as stream:
        for _ in range(12):
            replica.state.feed.asked()
            await asyncio.sleep(0.1)
        assert stream.end is None
        await stream.until(lambda each: each.end)
        assert stream.end is not None
        assert stream.end.reason == "closing"


async def test_a_stream_does_not_go_on_for_ever(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_module, "LONGEST_S", 0.3)
    replica = await replicas(BURST)
    async with watching(replica.app, "admin1") as stream:
        await stream.until(lambda each: each.done.is_set())
        assert stream.end is not None
        assert stream.end.reason == "closing"


async def test_only_so_many_may_watch(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.ingress.live.routes.MOST_VIEWERS", 2)
    replica = await replicas(BURST)
    async with (
        watching(replica.app, "admin1"),
        watching(replica.app, "gus1", "/v1/limits/live"),
        watching(replica.app, "admin1") as third,
    ):
        assert third.status == 503
        assert json.loads(third.raw)["error"]["code"] == "too_many_viewers"
        assert int(third.headers["retry-after"]) >= 1
    async with watching(replica.app, "admin1") as stream:
        assert stream.status == 200
    assert hub_module.MOST_VIEWERS > 2


async def test_a_viewer_does_not_keep_the_admin_api_from_others(replicas: Replicas) -> None:
    replica = await replicas(BURST)
    async with asyncio.TaskGroup() as group:
        streams = [watching(replica.app, "admin1") for _ in range(40)]  # more than admin requests at once
        opened = [group.create_task(each.__aenter__()) for each in streams]
    reply = await replica.client.get("/admin/policies", headers={"authorization": f"Bearer {secret('admin1')}"})
    assert reply.status_code == 200
    assert len({bytes(task.result().raw) for task in opened}) >= 1
    for each in streams:
        await each.__aexit__(None, None, None)


async def test_the_viewers_of_a_scope_share_each_frame(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Any] = []
    encode = hub_module.frame_bytes
    monkeypatch.setattr(hub_module, "frame_bytes", lambda frame: encoded.append(frame) or encode(frame))
    replica = await replicas(BURST)
    async with watching(replica.app, "admin1") as one, watching(replica.app, "admin1") as other:
        await one.frame()
        before = len(encoded)
        frames = len(one.frames)
        await replica.ask()
        await one.until(seen("finished", 1))
        await other.until(seen("finished", 1))
        assert len(encoded) - before == len(one.frames) - frames
        assert one.frames[-1].counts == other.frames[-1].counts
