"""The primary of a Sentinel group is killed under load: the application goes on with the one that takes over.

What the old primary had admitted and not yet replicated is lost with it, so the new one may admit that much again: as
docs/cluster.md says, replication is asynchronous. It is counted, and more than that is a failure.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from policies.connect import connect
from tests.drills.kit.application import KEYS, LIMIT, application
from tests.drills.kit.drill import ALWAYS, STORE_AWAY, Result
from tests.drills.kit.load import Load
from tests.drills.kit.scene import FAILURES
from tests.drills.kit.watch import Watch
from tests.policies.redis_nodes import SentinelGroup
from tests.policies.redis_server import binaries

WITHIN_S = 40.0
QUIET_S = 2.5


async def _failover() -> Result:
    result = Result("sentinel", "kill -9 of the primary of three Redis servers with three Sentinels")
    with ExitStack() as stack:
        group = await asyncio.to_thread(SentinelGroup, next(iter(binaries().values())))
        stack.callback(group.close)
        running = await asyncio.to_thread(stack.enter_context, application(group.url))
        watch = Watch(connect(group.url), LIMIT, "limited", "tenant:limited")
        load = Load(running.url, KEYS)
        try:
            load.begin()
            await asyncio.sleep(4)
            await asyncio.to_thread(group.primary.kill)
            result.recovered_s = await _recovered(load, time.monotonic())
            await load.pause()
            await watch.look()
        except FAILURES as error:
            result.problems.append(f"{type(error).__name__}: {error}"[:300])
        finally:
            await load.close()
            await watch.close()
        result.seen, result.over = load.seen(), watch.over()
        result.problems += [f"clients saw {what}" for what in result.seen if what not in ALWAYS | STORE_AWAY]
        result.problems += sorted({each.problem for each in load.told if each.problem})[:3]
        if result.over:
            result.problems.append(f"{result.over} over the limit")
    return result


async def _recovered(load: Load, since: float) -> float:
    while True:
        bad = [each.at for each in load.told if each.what not in ALWAYS and each.at > since]
        last = max(bad, default=since)
        if time.monotonic() - last >= QUIET_S and any(each.what == "200" and each.at > last for each in load.told):
            return last - since
        assert time.monotonic() - since < WITHIN_S, "not as always"
        await asyncio.sleep(0.1)


DRILLS: dict[str, Callable[[], Awaitable[Result]]] = {"sentinel": _failover}
