"""Three Ray nodes, an ingress on each, one limit for all; a node is killed in mid-traffic.

What was admitted is judged by Redis' append-only file, where every entry stands that was ever logged. The log itself is
followed only to see which of them were taken back.
"""

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from redis.asyncio import Redis

from loadtests.scenarios.kit.logs import Entry, fullest
from policies import Charge, Limiter, RateLimitPolicy
from policies.following import LogFollower
from policies.places import Place
from tests.drills.kit import aof
from tests.drills.kit.drill import ALWAYS, Result
from tests.drills.kit.scene import FAILURES
from tests.drills.nodes_app import LIMIT, NODES, SECRET, WINDOW
from tests.integration.conftest import ROOT, START_S, end_outright, free_port
from tests.policies.redis_server import RedisServer, binaries

CATALOGUE = {
    "tenants": [{"name": "one"}],
    "users": [{"name": "one", "tenant": "one"}],
    "keys": [{"id": "nodes", "user": "one", "sha256": hashlib.sha256(SECRET.encode()).hexdigest()}],
    "tiers": [{"name": "only"}],
    "models": [{"name": "m", "tier": "only"}],
    "policies": [
        {"name": "shared", "scope": "TENANT", "limit": LIMIT, "window": WINDOW},
        {"name": "slots", "scope": "TENANT", "unit": "concurrent_requests", "limit": 100, "window": "3s"},
    ],
}
SHARED = RateLimitPolicy(name="shared", scope="TENANT", limit=LIMIT, window=WINDOW)
SLOTS = RateLimitPolicy(name="slots", scope="TENANT", unit="concurrent_requests", limit=100, window="3s")
SLOT = "tenant:one"
PREFIX = "nodes"

# A node that dies takes its ingress and its model replica along: what ran there breaks, whoever asked. The last one is
# what Serve's own proxy says for an ingress that died (no HAProxy is in front here).
BROKEN = {"no reply", "broken off", "500 model_failed", "503 model_unavailable", "500 'Internal Server Error'"}
RECOVERS_S = 60.0


@dataclass
class Nodes:
    """The running cluster."""

    url: str
    redis: RedisServer
    process: "subprocess.Popen[str]"

    def ingresses(self) -> list[psutil.Process]:
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if "".join(process.cmdline()[:1]).startswith("ray::ServeReplica:nodes:Ingress"):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def kill_node(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        for line in self.process.stdout:  # Ray tells there of the node's end as well
            if line == "killed\n":
                return
        raise AssertionError("the program ended")


@contextmanager
def _cluster(folder: Path) -> Iterator[Nodes]:
    redis, port = RedisServer(next(iter(binaries().values())), *aof.OPTIONS).start(), free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.drills.nodes_app", str(port), f"unix://{redis.socket}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={
                **os.environ,
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_AUTH_MODE": "disabled",  # several raylets of one process share no token
                "RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0",  # or HTTP on the head asks the head's ingress alone
                "RAY_health_check_period_ms": "500",
                "RAY_health_check_failure_threshold": "4",
                "PYTHONPATH": str(ROOT),
            },
        )
    try:
        running = Nodes(f"http://127.0.0.1:{port}", redis, process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", (folder / "log").read_text()[-3_000:]
        give_up = time.monotonic() + START_S
        while httpx.get(f"{running.url}/readyz").status_code != 200 or len(running.ingresses()) < NODES:
            assert time.monotonic() < give_up, "not every node has an ingress"
            time.sleep(0.2)
        yield running
    finally:
        end_outright(process)
        redis.close()


class Traffic:
    """Clients that ask for about twice the limit, and the limit's log, looked at while they do."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.told: list[tuple[float, str]] = []
        self.costs: dict[tuple[int, int], int] = {}
        """What entries count for that a look has shown."""
        self._going = self._following = True
        self._clients = [asyncio.create_task(self._ask()) for _ in range(6)]
        self._copying = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """The log is looked at once more after the last reply: who asked before the end may be admitted after it."""
        self._going = False
        await asyncio.gather(*self._clients)
        self._following = False
        await self._copying

    @property
    def seen(self) -> Counter[str]:
        return Counter(what for _, what in self.told)

    def as_always(self) -> bool:
        recent = [what for at, what in self.told if at > time.monotonic() - 3]
        return "200" in recent and set(recent) <= ALWAYS

    def logged(self) -> list[Entry]:
        """Every request that was ever logged. Those that were taken back count for 0, where a look has shown that."""
        log = Place(SHARED, "one", SLOT, None, PREFIX).keys[0].encode()
        entries = aof.logged(self._nodes.redis.folder, log)
        return [entry._replace(cost=self.costs.get((entry.at_ms, entry.ordinal), 1)) for entry in entries]

    async def _ask(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)  # a connection for each, so that all ingresses get some
        headers = {"authorization": f"Bearer {SECRET}"}
        async with httpx.AsyncClient(base_url=self._nodes.url, headers=headers, timeout=30, limits=limits) as client:
            while self._going:
                what = await _told(client)
                self.told.append((time.monotonic(), what))
                await asyncio.sleep(0.1)

    async def _follow(self) -> None:
        async with Redis(unix_socket_path=self._nodes.redis.socket) as redis:
            limiter = Limiter(redis, prefix=PREFIX, deadline_s=5)
            follower = LogFollower(limiter, SHARED, "one", SLOT, most=10_000)
            last = False
            while not last:
                last = not self._following
                look = await follower.look(5)
                self.costs |= {(ms, ordinal): cost for ms, ordinal, cost in look.entries}
                for ordinal, cost in look.changed:
                    self.costs[max(key for key in self.costs if key[1] == ordinal)] = cost
                await asyncio.sleep(0.1)
            await limiter.close()


async def _told(client: httpx.AsyncClient) -> str:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    try:
        reply = await client.post("/v1/chat/completions", json=body)
    except httpx.TransportError:
        return "no reply"
    if reply.status_code == 200:
        return "200" if reply.text.count("data: x") == 10 else "broken off"
    try:
        return f"{reply.status_code} {reply.json()['error']['code']}"
    except (ValueError, KeyError, TypeError):
        return f"{reply.status_code} {reply.text[:80]!r}"


async def _until(holds: Callable[[], object], what: str, within_s: float = RECOVERS_S) -> None:
    give_up = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up, what
        await asyncio.sleep(0.1)


async def _in_use(redis: RedisServer) -> int:
    """Slots that are held, by the window in Redis."""
    async with Redis(unix_socket_path=redis.socket) as client:
        limiter = Limiter(client, prefix=PREFIX, deadline_s=5)
        decision = await limiter.peek([Charge(SLOTS, subject="one", slot=SLOT)])
        await limiter.close()
    return decision.windows[0].used


def _busy_s(processes: list[psutil.Process]) -> dict[int, float]:
    return {each.pid: sum(each.cpu_times()[:2]) for each in processes}


async def _several_nodes() -> Result:
    result = Result("several-nodes", "kill -9 of one of three Ray nodes with an ingress and a model replica on each")
    with tempfile.TemporaryDirectory(prefix="sluice-nodes-") as name:
        cluster = _cluster(Path(name))
        try:
            nodes = await asyncio.to_thread(cluster.__enter__)
            try:
                await _drill(nodes, result)
            finally:
                await asyncio.to_thread(cluster.__exit__, None, None, None)
        except FAILURES as error:
            result.problems.append(f"{type(error).__name__}: {error}"[:400])
    return result


async def _drill(nodes: Nodes, result: Result) -> None:
    before, cpu = nodes.ingresses(), _busy_s(nodes.ingresses())
    traffic = Traffic(nodes)
    try:
        await _until(lambda: traffic.seen["429 rate_limit_exceeded"], "the limit is at work")
        await asyncio.sleep(4)
        assert set(traffic.seen) == ALWAYS, traffic.seen
        worked = {pid: spent - cpu[pid] for pid, spent in _busy_s(before).items()}
        assert len(worked) == NODES
        assert min(worked.values()) > max(worked.values()) / 5, f"not every ingress has its part: {worked}"

        await asyncio.to_thread(nodes.kill_node)
        killed_at = time.monotonic()
        await _until(lambda: len(nodes.ingresses()) == NODES - 1, "the ingress of a node that is gone is gone")
        await _until(traffic.as_always, "only 200 and 429 again")
        result.recovered_s = max((at for at, what in traffic.told if what not in ALWAYS), default=killed_at) - killed_at
    finally:
        await traffic.stop()
    result.seen = traffic.seen
    result.problems += [f"clients saw {what}" for what in traffic.seen if what not in ALWAYS | BROKEN]
    _judge(traffic, result)
    await asyncio.sleep(SLOTS.window / 1000)  # what the dead ingress held returns by its lease
    result.left = await _in_use(nodes.redis)
    result.problems += [f"left: {result.left} slots in use"] if result.left else []


def _judge(traffic: Traffic, result: Result) -> None:
    """An entry for each that was admitted, and for nobody else; and in no window more than the limit."""
    entries, admitted = traffic.logged(), traffic.seen["200"]
    most, counted = fullest(entries, SHARED.window).held, sum(entry.cost for entry in entries)
    result.over = max(0, most - LIMIT) + max(0, admitted - counted)
    result.notes.append(
        f"{len(entries)} entries in the append-only file, {len(entries) - counted} taken back, "
        f"{len(entries) - len(traffic.costs)} gone before a look; fullest window {most} of {LIMIT}"
    )
    if result.over:
        result.problems.append(f"{most} in a window of {LIMIT}; {admitted} admitted and {counted} logged")
    broken = sum(traffic.seen[what] for what in BROKEN)  # was admitted, or not
    if counted > admitted + broken:
        result.problems.append(f"{counted} logged, {admitted} admitted and {broken} broken")
    if problem := aof.gap(entries, SHARED.window):
        result.problems.append(problem)


DRILLS: dict[str, Callable[[], Awaitable[Result]]] = {"several-nodes": _several_nodes}
