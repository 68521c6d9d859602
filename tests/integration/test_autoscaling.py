"""Ray Serve's autoscaling and our queue: what waits scales the pool, from none and back to none."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.integration.conftest import ROOT, end_outright, free_port
from tests.integration.test_router import SECRETS
from tests.policies.redis_server import RedisServer, binaries

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]


@pytest.fixture
def scaling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    folder = tmp_path_factory.mktemp("scaling")
    redis, port = RedisServer(next(iter(binaries().values()))).start(), free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", "tests.integration.autoscaling_app"),
                *(str(port), f"unix://{redis.socket}"),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)},
        )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", (folder / "log").read_text()[-3_000:]
        yield f"http://127.0.0.1:{port}", process
    finally:
        end_outright(process)
        redis.close()


def _replicas(process: "subprocess.Popen[str]") -> int:
    count = 0
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            count += any(part.startswith("ray::ServeReplica:scaling:model-m") for part in child.cmdline()[:1])
        except psutil.Error:
            continue
    return count


async def _until_replicas(process: "subprocess.Popen[str]", count: int, within_s: float) -> None:
    give_up = time.monotonic() + within_s
    while _replicas(process) != count:
        assert time.monotonic() < give_up, f"{_replicas(process)} replicas, not {count}"
        await asyncio.sleep(0.2)


async def test_the_queue_scales_the_pool(scaling: tuple[str, "subprocess.Popen[str]"]) -> None:
    base_url, process = scaling
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {SECRETS['standard']}"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=90) as client:
        assert _replicas(process) == 0
        first = await client.post("/v1/chat/completions", json=body)
        assert first.status_code == 200, "it waited for a replica"
        replies = await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for _ in range(40)))
        assert {reply.status_code for reply in replies} == {200}
        assert len({reply.text for reply in replies}) == 2, "two replicas answered"
        await _until_replicas(process, 0, 60)
        again = await client.post("/v1/chat/completions", json=body)
        assert again.status_code == 200
