"""A catalogue over a real Redis, and processes that follow it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from policies.catalogue import Actor
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from policies.connect import connect
from tests.policies.redis_server import RedisServer, binaries

OPS = Actor("ops1", "olga", "platform")


PATIENT_S = 10.0
"""Longer than the product waits: other tests keep the machine's cores busy."""


@pytest.fixture(scope="package", params=binaries().items(), ids=binaries())
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    server = RedisServer(request.param[1]).start()
    yield server
    server.close()


def store_on(server: RedisServer, **options: int) -> CatalogueStore:
    return CatalogueStore(connect(f"unix://{server.socket}", timeout_s=PATIENT_S), **options)  # type: ignore[arg-type]


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[CatalogueStore]:
    async with Redis(unix_socket_path=redis_server.socket) as redis:
        await redis.flushall()
    store = store_on(redis_server)
    yield store
    await store.close()


@pytest.fixture
async def live(store: CatalogueStore) -> AsyncIterator[LiveCatalogue]:
    live = LiveCatalogue(store)
    await live.start()
    assert live.loaded
    yield live
    await live.close()
