"""The router on real Ray Serve: two ingress replicas, a pool of four slots, and processes that are killed."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.conftest import ROOT, START_S, end_outright, free_port
from tests.policies.redis_server import RedisServer, binaries

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

SECRETS = {tier: f"sk-{tier}-{'s' * 24}" for tier in ("internal", "premium", "standard", "batch")}
CATALOGUE = {
    "tenants": [{"name": tier, "qos_tier": tier} for tier in SECRETS],
    "users": [{"name": tier, "tenant": tier} for tier in SECRETS],
    "keys": [
        {"id": tier, "user": tier, "sha256": hashlib.sha256(key.encode()).hexdigest()} for tier, key in SECRETS.items()
    ],
    "tiers": [{"name": "only"}],
    "models": [{"name": "m", "tier": "only"}],
    "policies": [],
}


@dataclass
class Drills:
    """The running application."""

    base_url: str
    starts: Path
    process: "subprocess.Popen[str]"

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """The processes of its replicas."""
        title = f"ray::ServeReplica:drills:{deployment}"
        family = psutil.Process(self.process.pid).children(recursive=True)
        found = []
        for process in family:
            try:
                if process.cmdline() and process.cmdline()[0].startswith(title):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def seen(self) -> list[tuple[str, int]]:
        """What started, and how many ran then, in order."""
        if not self.starts.exists():
            return []
        lines = [line.split() for line in self.starts.read_text().splitlines()]
        return [(label, int(running)) for label, running in lines]

    def peak(self) -> int:
        return max(running for _, running in self.seen())


@pytest.fixture(scope="module")
def drills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drills]:
    folder = tmp_path_factory.mktemp("drills")
    redis, port = RedisServer(next(iter(binaries().values()))).start(), free_port()
    program = [sys.executable, "-W", "ignore", "-m", "tests.integration.router_app"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*program, str(port), f"unix://{redis.socket}", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)},
        )
    running = Drills(f"http://127.0.0.1:{port}", folder / "starts", process)
    try:
        give_up = time.monotonic() + START_S
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n", (folder / "log").read_text()[-3_000:]
        while httpx.get(f"{running.base_url}/readyz").status_code != 200:
            assert time.monotonic() < give_up
            time.sleep(0.2)
        yield running
    finally:
        end_outright(process)
        redis.close()


@pytest.fixture
async def client(drills: Drills) -> httpx.AsyncClient:
    drills.starts.unlink(missing_ok=True)
    # A connection for each request, so that both ingress replicas get some.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=drills.base_url, timeout=60, limits=limits)


async def ask(client: httpx.AsyncClient, tier: str, milliseconds: int, label: str | None = None) -> int:
    """One streamed reply; its status, or 0 where the connection broke."""
    body = {
        "model": "m",
        "stream": True,
        "messages": [{"role": "user", "content": f"{milliseconds} {label or tier}"}],
    }
    try:
        headers = {"authorization": f"Bearer {SECRETS[tier]}"}
        async with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as reply:
            text = "".join([piece async for piece in reply.aiter_text()])
            return reply.status_code if reply.status_code != 200 or text.count("data: x") == 10 else 0
    except httpx.TransportError:
        return 0


async def test_capacity_is_never_exceeded_and_everything_runs(drills: Drills, client: httpx.AsyncClient) -> None:
    tiers = list(SECRETS)
    async with client:
        codes = await asyncio.gather(*(ask(client, tiers[n % 4], 100 + n) for n in range(60)))
    assert codes == [200] * 60
    assert drills.peak() == 4


async def test_premium_overtakes_batch(drills: Drills, client: httpx.AsyncClient) -> None:
    async with client:
        batch = [asyncio.create_task(ask(client, "batch", 500)) for _ in range(20)]
        await asyncio.sleep(0.7)
        premium = [asyncio.create_task(ask(client, "premium", 500)) for _ in range(4)]
        assert set(await asyncio.gather(*batch, *premium)) == {200}
    order = [label for label, _ in drills.seen()]
    assert max(n for n, label in enumerate(order) if label == "premium") < 16, order
    assert drills.peak() == 4


async def test_a_client_that_leaves_the_queue_costs_nothing(drills: Drills, client: httpx.AsyncClient) -> None:
    async with client:
        running = [asyncio.create_task(ask(client, "standard", 1_000)) for _ in range(4)]
        await asyncio.sleep(0.5)
        waiting = [asyncio.create_task(ask(client, "standard", 1_000, "left")) for _ in range(4)]
        await asyncio.sleep(0.2)
        for task in waiting:
            task.cancel()
        assert await asyncio.gather(*running) == [200] * 4
        assert await ask(client, "standard", 100) == 200
    assert "left" not in [label for label, _ in drills.seen()]


async def test_a_model_replica_is_killed(drills: Drills, client: httpx.AsyncClient) -> None:
    async with client:
        running = [asyncio.create_task(ask(client, "standard", 30_000)) for _ in range(4)]
        await asyncio.sleep(1.0)
        (victim,) = drills.replicas("model-m")
        killed_at = time.monotonic()
        victim.kill()
        assert 200 not in await asyncio.gather(*running)
        assert time.monotonic() - killed_at < 10, "their clients are told, and need not wait"
        assert await asyncio.gather(*(ask(client, "standard", 300) for _ in range(8))) == [200] * 8, "what waits waits"


async def test_the_router_is_killed(drills: Drills, client: httpx.AsyncClient) -> None:
    async with client:
        # Longer than it takes until a new router grants again, so that it must learn of them.
        running = [asyncio.create_task(ask(client, "standard", 20_000, "before")) for _ in range(3)]
        await asyncio.sleep(1.0)
        (victim,) = drills.replicas("ModelRouter")
        victim.kill()
        late = [asyncio.create_task(ask(client, "standard", 300, "after")) for _ in range(8)]
        codes = await asyncio.gather(*late)
        assert not any(task.done() for task in running), "those that run must outlast this, or nothing is shown"
        assert codes == [200] * 8
        assert await asyncio.gather(*running) == [200] * 3
        assert drills.peak() == 4
        assert {running for label, running in drills.seen() if label == "after"} == {4}
        # Nothing is lost: all four slots can be had again, and no fifth.
        assert await asyncio.gather(*(ask(client, "standard", 300) for _ in range(12))) == [200] * 12
    assert drills.peak() == 4
    (heir,) = drills.replicas("ModelRouter")
    assert heir.pid != victim.pid


async def test_an_ingress_is_killed(drills: Drills, client: httpx.AsyncClient) -> None:
    async with client:
        running = [asyncio.create_task(ask(client, "standard", 6_000)) for _ in range(4)]
        await asyncio.sleep(1.0)
        victim, _ = drills.replicas("Ingress")
        os.kill(victim.pid, signal.SIGKILL)
        killed_at = time.monotonic()
        codes = await asyncio.gather(*(ask(client, "premium", 200) for _ in range(4)))
        # Some may have been on their way to the replica that died; a client would send them again.
        again = [await ask(client, "premium", 200) for code in codes if code != 200]
        assert set(again) <= {200}
        waited_s = time.monotonic() - killed_at
        survivors = (await asyncio.gather(*running)).count(200)
        if survivors < 4:
            assert waited_s < 10, (
                "slots of a dead ingress are free within 5 s"
            )  # the replies on a busy machine included
        assert await asyncio.gather(*(ask(client, "standard", 300) for _ in range(12))) == [200] * 12
