"""Behind Sentinel: the primary is killed, a replica takes over, decisions resume there with what it had."""

import asyncio
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import RedisError
from redis.asyncio.sentinel import Sentinel

from policies import Charge, Limiter, RateLimitPolicy
from policies.errors import StoreError
from tests.policies.redis_server import RedisServer, binaries

POLICIES = [
    RateLimitPolicy(name="r", scope="TENANT", limit=100, window="10m"),
    RateLimitPolicy(name="t", scope="TENANT", unit="total_tokens", limit=10_000, window="10m"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def group(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer, int]]:
    """A primary, its replica, and the port of a Sentinel that watches them."""
    binary = next(iter(binaries().values()))
    primary = RedisServer(binary, port=free_port()).start()
    replica = RedisServer(binary, "--replicaof", "127.0.0.1", str(primary.port), port=free_port()).start()
    port, config = free_port(), tmp_path / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nlogfile {tmp_path}/sentinel.log\n"
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
    )
    sentinel = subprocess.Popen([binary, str(config), "--sentinel"], stdin=subprocess.DEVNULL)
    yield primary, replica, port
    sentinel.kill()
    sentinel.wait()
    replica.close()
    primary.close()


async def test_decisions_resume_on_the_new_primary(group: tuple[RedisServer, RedisServer, int]) -> None:
    primary, replica, port = group
    sentinel = Sentinel([("127.0.0.1", port)], socket_timeout=1)
    limiter = Limiter(redis := sentinel.master_for("main"), deadline_s=0.5)
    charges = [Charge(POLICIES[0], "a"), Charge(POLICIES[1], "a", cost=50)]

    async def decide() -> list[int]:
        give_up = time.monotonic() + 30
        while True:
            try:
                decision = await limiter.acquire(charges)
            except (StoreError, RedisError):
                assert time.monotonic() < give_up, "decisions do not resume"
                await asyncio.sleep(0.1)
            else:
                return [window.used for window in decision.windows]

    while not (await _knows_replica(sentinel)):
        await asyncio.sleep(0.1)
    for count in range(1, 6):
        assert await decide() == [count, 50 * count]
    with primary.sync() as client:
        assert client.wait(1, 5_000) == 1  # the replica has it all: what it had not, a failover would lose
    primary.kill()
    assert await decide() == [6, 300]
    with replica.sync() as client:
        assert client.info("replication")["role"] == "master"
    await limiter.close()
    await redis.aclose()
    for each in sentinel.sentinels:
        await each.aclose()


async def _knows_replica(sentinel: Sentinel) -> bool:
    try:
        return bool(await sentinel.discover_slaves("main"))
    except RedisError:
        return False
