"""Three Ray nodes, an ingress on each, one limit for all; a node is killed in mid-traffic.

A test for pytest that takes a minute, so `make drills` runs it and `make test` does not.
"""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import httpx
import psutil
import pytest
from redis.asyncio import Redis

from policies import Limiter, RateLimitPolicy
from policies.following import LogFollower
from tests.drills.nodes_app import LIMIT, NODES, SECRET, WINDOW
from tests.integration.conftest import ROOT, START_S, end_outright, free_port
from tests.policies.redis_server import RedisServer, binaries

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

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

# A node that dies takes its ingress and its model replica along: what ran there breaks, whoever asked.
BROKEN = {"no reply", "broken off", "500 model_failed", "503 model_unavailable"}
ALLOWED = {"200", "429 rate_limit_exceeded"}
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


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    redis, port = RedisServer(next(iter(binaries().values()))).start(), free_port()
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
            assert time.monotonic() < give_up
            time.sleep(0.2)
        yield running
    finally:
        end_outright(process)
        redis.close()


class Traffic:
    """Clients that ask for about twice the limit, and the limit's log, copied while they do."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.told: list[tuple[float, str]] = []
        self.entries: dict[tuple[int, int], int] = {}
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

    def fullest(self) -> int:
        """The most that any window ever held, by the server's time."""
        at = sorted(ms for (ms, _), cost in self.entries.items() if cost)
        return max(sum(end - SHARED.window < ms <= end for ms in at) for end in at)

    def logged(self) -> int:
        """How many requests were logged, and not taken back. Ordinals have no gaps: what left between looks counts."""
        ordinals = [ordinal for _, ordinal in sorted(self.entries)]
        missed = sum(max(0, after - before - 1) for before, after in pairwise(ordinals))
        return sum(cost > 0 for cost in self.entries.values()) + missed

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
            limiter = Limiter(redis, prefix="nodes", deadline_s=5)
            follower = LogFollower(limiter, SHARED, "one", SLOT, most=10_000)
            last = False
            while not last:
                last = not self._following
                look = await follower.look(5)
                self.entries |= {(ms, ordinal): cost for ms, ordinal, cost in look.entries}
                for ordinal, cost in look.changed:
                    self.entries[max(key for key in self.entries if key[1] == ordinal)] = cost
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


async def _until(holds: Callable[[], bool], what: str, within_s: float = RECOVERS_S) -> None:
    give_up = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up, what
        await asyncio.sleep(0.1)


async def _in_use(redis: RedisServer) -> int:
    """Slots that are held, by the window in Redis."""
    async with Redis(unix_socket_path=redis.socket) as client:
        limiter = Limiter(client, prefix="nodes", deadline_s=5)
        from policies import Charge

        decision = await limiter.peek([Charge(SLOTS, subject="one", slot=SLOT)])
        await limiter.close()
    return decision.windows[0].used


def _busy_s(processes: list[psutil.Process]) -> dict[int, float]:
    return {each.pid: sum(each.cpu_times()[:2]) for each in processes}


async def test_one_limit_across_nodes_and_a_node_that_dies(nodes: Nodes) -> None:
    before, cpu = nodes.ingresses(), _busy_s(nodes.ingresses())
    traffic = Traffic(nodes)
    await asyncio.sleep(6)
    assert set(traffic.seen) == {"200", "429 rate_limit_exceeded"}, traffic.seen
    worked = {pid: spent - cpu[pid] for pid, spent in _busy_s(before).items()}
    assert len(worked) == NODES
    assert min(worked.values()) > max(worked.values()) / 5, f"not every ingress has its part: {worked}"

    await asyncio.to_thread(nodes.kill_node)
    killed_at = time.monotonic()
    await _until(lambda: len(nodes.ingresses()) == NODES - 1, "the ingress of a node that is gone is gone")

    def as_always() -> bool:
        recent = [what for at, what in traffic.told if at > time.monotonic() - 3]
        return "200" in recent and set(recent) <= ALLOWED

    await _until(as_always, "only 200 and 429 again")
    recovered_s = max((at for at, what in traffic.told if what not in ALLOWED), default=killed_at) - killed_at
    await traffic.stop()
    print(f"{dict(traffic.seen)}, fullest window {traffic.fullest()} of {LIMIT}, recovered after {recovered_s:.1f} s")
    assert set(traffic.seen) <= ALLOWED | BROKEN
    assert traffic.fullest() == LIMIT, "reached, and never more"
    assert traffic.logged() >= traffic.seen["200"]
    await asyncio.sleep(SLOTS.window / 1000)  # what the dead ingress held returns by its lease
    assert await _in_use(nodes.redis) == 0
