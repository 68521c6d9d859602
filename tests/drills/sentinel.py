"""The primary of a Sentinel group is killed under load: the application goes on with the one that takes over.

What the old primary had admitted and not yet replicated is lost with it, so the new one may admit that much again: as
docs/cluster.md says, replication is asynchronous. In milliseconds, on one machine, that is nothing: an admitted reply
for which neither primary had an entry is a failure here, as anywhere.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from policies.connect import connect
from tests.drills.kit.application import KEYS, LEASE_S, LIMIT, Application, application
from tests.drills.kit.drill import ALWAYS, STORE_AWAY, Result
from tests.drills.kit.load import LIMITED, Load
from tests.drills.kit.scene import FAILURES, slots
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
            await _judge(running, load, watch, result)
        except FAILURES as error:
            result.problems.append(f"{type(error).__name__}: {error}"[:300])
        finally:
            await load.close()
            await watch.close()
        result.seen = load.seen()
        result.problems += [f"clients saw {what}" for what in result.seen if what not in ALWAYS | STORE_AWAY]
        result.problems += sorted({each.problem for each in load.told if each.problem})[:3]
    return result


async def _judge(running: Application, load: Load, watch: Watch, result: Result) -> None:
    """An entry for each that was admitted, before and after; and all slots back, those of the old primary by lease."""
    admitted = sum(each.tenant == LIMITED and each.what == "200" for each in load.told)
    unlogged = max(0, admitted - watch.logged())
    result.over = watch.over() + unlogged
    result.notes.append(f"{admitted} of the limited tenant admitted, {watch.logged()} entries")
    if result.over:
        result.problems.append(f"{watch.over()} over the limit, {unlogged} admitted that no entry stands for")
    if not load.seen()["429 rate_limit_exceeded"]:
        result.problems.append("the limit was never reached: nothing was shown of it")
    give_up = time.monotonic() + LEASE_S + 10
    while any((held := await slots(running)).values()) and time.monotonic() < give_up:
        await asyncio.sleep(0.5)
    result.left = sum(held.values())
    result.problems += [f"left: {count} {what}" for what, count in held.items() if count]


async def _recovered(load: Load, since: float) -> float:
    while True:
        bad = [each.at for each in load.told if each.what not in ALWAYS and each.at > since]
        last = max(bad, default=since)
        if time.monotonic() - last >= QUIET_S and any(each.what == "200" and each.at > last for each in load.told):
            return last - since
        assert time.monotonic() - since < WITHIN_S, "not as always"
        await asyncio.sleep(0.1)


DRILLS: dict[str, Callable[[], Awaitable[Result]]] = {"sentinel": _failover}
