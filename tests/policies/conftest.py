"""A real Redis under every test of the limiter, and a clock that tests move.

`server` runs a test on every redis-server binary there is (they differ in version); `newest_server`, for what is
slow, on one. Either comes empty.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from policies import Limiter
from tests.policies.redis_server import RedisServer, binaries

_BINARIES = binaries()


@pytest.fixture(
    scope="session", params=list(_BINARIES) or [pytest.param("", marks=pytest.mark.skip("no redis-server"))]
)
def _any_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    started = RedisServer(_BINARIES[request.param]).start()
    yield started
    started.close()


@pytest.fixture(scope="session")
def _newest_server() -> Iterator[RedisServer]:
    if not _BINARIES:
        pytest.skip("no redis-server")
    started = RedisServer(next(iter(_BINARIES.values()))).start()
    yield started
    started.close()


def _emptied(server: RedisServer) -> RedisServer:
    with server.sync() as client:
        client.flushall()
        client.script_flush()
    return server


@pytest.fixture
def server(_any_server: RedisServer) -> RedisServer:
    return _emptied(_any_server)


@pytest.fixture
def newest_server(_newest_server: RedisServer) -> RedisServer:
    return _emptied(_newest_server)


@pytest_asyncio.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    client = Redis(unix_socket_path=server.socket)
    yield client
    await client.aclose()


class Clock:
    """The time in whole milliseconds since 1970, moved by hand."""

    def __init__(self, ms: int = 1_800_000_000_000) -> None:
        self.ms = ms

    def __call__(self) -> float:
        return self.ms / 1000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def limiter(redis: Redis, clock: Clock) -> AsyncIterator[Limiter]:
    """A limiter whose server clock is `clock`."""
    made = Limiter(redis, deadline_s=5, steered_clock=clock)
    yield made
    await made.close()
