"""What a drill works on: the application, its Redis, the proxy between them, the load and the watch; and the way from
a drill to its result."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import psutil
from redis import RedisError
from redis.asyncio import Redis

from policies.catalogue.live import LOOK_UPS
from policies.errors import PoliciesError, StoreError
from tests.drills.kit.application import IDLE_SLOTS, KEYS, LEASE_S, LIMIT, SLOTS, Application
from tests.drills.kit.drill import ALWAYS, Drill, Result, Skipped
from tests.drills.kit.load import LIMITED, Load
from tests.drills.kit.proxy import Proxy
from tests.drills.kit.redis import DrilledRedis
from tests.drills.kit.watch import Watch

BEFORE_S = 1.5
"""Of load before the fault, at least."""

LIMITED_S = 20.0
"""Until the limit has been reached before the fault, at most: on a busy machine it takes longer than `BEFORE_S`."""

QUIET_S = 2.5
"""The load has recovered when so long nothing but the usual was told."""

HEARD_S = 0.5
"""The live feed is read for so long after it has heard all: each tells how it stands ten times a second."""

GONE_S = 30.0
SPARE = {"connections to Redis": 2 * LOOK_UPS, "open files of an ingress": 60}
"""By how much these may breathe: pools keep what they opened, and either ingress opens a connection for each key that
it looks up at the same time. Of everything else nothing may be left. What leaks does so with every request, of which
there are hundreds in a drill."""

FAILURES = (
    AssertionError,
    httpx.HTTPError,
    RedisError,
    PoliciesError,
    OSError,
    TimeoutError,
    psutil.Error,
    ValueError,
    KeyError,
)
"""What makes a drill fail, and lets the others go on."""

INGRESS = "ServeReplica:sluice:Ingress"


@dataclass
class Scene:
    """Everything that a drill may touch."""

    app: Application
    redis: DrilledRedis
    proxy: Proxy
    load: Load
    watch: Watch
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    over: int = 0
    """Found by the drill itself, where it brings a load of its own."""

    def admin(self, timeout_s: float = 15.0) -> httpx.AsyncClient:
        return admin(self.app, timeout_s)

    def client(self, tenant: str, timeout_s: float = 30.0) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {KEYS[tenant]}"}
        return httpx.AsyncClient(base_url=self.app.url, headers=headers, timeout=timeout_s, trust_env=False)

    async def until(self, holds: Callable[[], object], what: str, within_s: float = 60.0) -> None:
        give_up = time.monotonic() + within_s
        while not await asyncio.to_thread(holds):
            assert time.monotonic() < give_up, f"not within {within_s:.0f} s: {what}"
            await asyncio.sleep(0.2)

    async def play(self, drill: Drill) -> Result:
        """One drill from a quiet start to a quiet end."""
        result = Result(drill.name, drill.fault)
        self.notes, self.problems, self.over = result.notes, result.problems, 0
        self.watch.restart()
        before = await self._counts()
        if drill.loaded:
            self.load.begin()
            await self._limit_at_work()
        try:
            await drill.run(self)
            if drill.loaded:
                result.recovered_s = await self._recovered(time.monotonic(), drill.within_s)
        except Skipped as why:
            result.skipped = str(why)
        except FAILURES as error:
            result.problems.append(f"{type(error).__name__}: {error}"[:400])
        await self.load.pause()
        self._judge_replies(drill, result)
        await self._judge_limit(drill, result)
        await self._judge_leftovers(before, result)
        return result

    async def _limit_at_work(self) -> None:
        """A fault shows nothing of a limit that nobody comes near. Where that takes too long, the replies tell."""
        began = time.monotonic()
        await asyncio.sleep(BEFORE_S)
        while not self.load.seen()["429 rate_limit_exceeded"] and time.monotonic() - began < LIMITED_S:
            await asyncio.sleep(0.1)

    async def _recovered(self, since: float, within_s: float) -> float:
        while True:
            bad = [each.at for each in self.load.told if each.what not in ALWAYS and each.at > since]
            last = max(bad, default=since)
            usual = [each for each in self.load.told if each.what == "200" and each.at > last]
            if usual and time.monotonic() - last >= QUIET_S:
                return last - since
            assert time.monotonic() - since < within_s + QUIET_S, f"not as always after {within_s:.0f} s"
            await asyncio.sleep(0.1)

    def _judge_replies(self, drill: Drill, result: Result) -> None:
        if not drill.loaded:
            return
        result.seen = self.load.seen()
        strange = {what for what in result.seen if what not in ALWAYS | drill.allowed}
        result.problems += [f"clients saw {what}" for what in sorted(strange)]
        wrong = sorted(
            {each.problem for each in self.load.told if each.problem is not None and each.what not in strange}
        )
        result.problems += wrong[:3]
        if result.skipped is None and not result.seen["429 rate_limit_exceeded"]:
            result.problems.append("the limit was never reached: nothing was shown of it")

    async def _judge_limit(self, drill: Drill, result: Result) -> None:
        try:
            await self.watch.look()
        except StoreError as error:
            result.problems.append(f"the log cannot be read: {error}")
        admitted = sum(each.tenant == LIMITED and each.what.startswith("200") for each in self.load.told)
        unlogged = max(0, admitted - self.watch.logged()) if drill.loaded else 0
        result.over = self.over + self.watch.over() + unlogged
        if result.over:
            result.problems.append(f"{self.watch.over()} over the limit, {unlogged} admitted that no entry stands for")

    async def _judge_leftovers(self, before: dict[str, int], result: Result) -> None:
        give_up = time.monotonic() + GONE_S + LEASE_S
        while True:
            after = await self._counts()
            left = {
                what: count - before.get(what, 0)
                for what, count in after.items()
                if count > before.get(what, 0) + SPARE.get(what, 0)
            }
            if not left or time.monotonic() > give_up:
                break
            await asyncio.sleep(0.5)
        result.left = sum(left.values())
        result.problems += [f"left: {count} {what}" for what, count in left.items()]

    async def _counts(self) -> dict[str, int]:
        """All that must be again what it was."""
        found = {"that could not be counted": 1}
        with suppress(*FAILURES):
            found = await self.slots()
            async with Redis(unix_socket_path=self.redis.socket) as redis:
                found["connections to Redis"] = len(await redis.client_list())
            ingresses = await asyncio.to_thread(self.app.processes, INGRESS)
            files = [process.num_fds() for process in ingresses]
            found["open files of an ingress"] = max(files, default=0)
        return found

    async def slots(self) -> dict[str, int]:
        return await slots(self.app)


def admin(app: Application, timeout_s: float = 15.0) -> httpx.AsyncClient:
    """A client with the admin's key."""
    headers = {"authorization": f"Bearer {KEYS['admin']}"}
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=app.url, headers=headers, timeout=timeout_s, limits=limits, trust_env=False)


async def slots(app: Application) -> dict[str, int]:
    """What is held, by the windows and by the router."""
    async with admin(app) as http:
        leases = 0
        for policy in (SLOTS, IDLE_SLOTS):
            usage = await http.get("/admin/usage", params={"policy": policy})
            usage.raise_for_status()
            leases += sum(window["used"] for window in usage.json()["items"])
        ingresses = len(await asyncio.to_thread(app.processes, INGRESS))
        async with http.stream("GET", "/admin/live") as reply:
            bands = await _bands(reply.aiter_lines(), ingresses)
    waiting, running = (sum(band[name] for band in bands) for name in ("waiting", "running"))
    return {"leases": leases, "requests in queues": waiting, "slots in use": running}


async def _bands(lines: AsyncIterator[str], ingresses: int) -> list[dict[str, int]]:
    """Every band of every pool, by the live feed, once all ingresses were heard: while nobody watches none of them says
    how its requests stand, and the first frames know of nothing."""
    pools, heard_at = [], float("inf")
    async for line in lines:
        if line.startswith("data: "):
            frame = json.loads(line[6:])
            pools = frame.get("pools") or pools
            if frame.get("replicas", 0) >= ingresses:
                heard_at = min(heard_at, time.monotonic())
            if time.monotonic() - heard_at >= HEARD_S:
                return [band for pool in pools for band in pool["bands"]]
    raise ValueError("the live feed ended without telling how the pools stand")


@asynccontextmanager
async def prepared(app_of: Callable[[str], Awaitable[Application]], redis: DrilledRedis) -> AsyncIterator[Scene]:
    """A scene over a started Redis; `app_of` starts the application for an address of Redis."""
    proxy = await asyncio.to_thread(Proxy, redis.upstream)
    app = await app_of(f"redis://127.0.0.1:{proxy.port}")
    watch = Watch(Redis(unix_socket_path=redis.socket), LIMIT, "limited", "tenant:limited")
    load = Load(app.url, KEYS)
    try:
        yield Scene(app, redis, proxy, load, watch)
    finally:
        await load.close()
        await watch.close()
        await asyncio.to_thread(proxy.close)
