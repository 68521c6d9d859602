"""Two ingress replicas over one Redis."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from deployments.ingress.app import create_app
from deployments.ingress.state import IngressSettings, IngressState
from policies import Limiter
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from policies.connect import connect
from tests.deployments.ingress.conftest import DEADLINE_S, LocalPools, secret, use
from tests.policies.redis_server import RedisServer, binaries

CHAT = {"model": "small", "messages": [{"role": "user", "content": "hello there"}]}


class Replica:
    """One ingress replica and a client of it."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.pools = LocalPools()
        self._redis = connect(url)
        live = LiveCatalogue(CatalogueStore(connect(url, timeout_s=DEADLINE_S)))
        self.limiter = Limiter(self._redis, deadline_s=DEADLINE_S)
        self.state = IngressState(IngressSettings(**settings), self.limiter, self.pools, live)
        self.app: ASGIApp = create_app(self.state)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://sluice")

    async def start(self, *policies: dict[str, Any], **changes: Any) -> "Replica":
        use(self.state, *policies, **changes)
        await self.state.live.start()
        self.state.feed.start()
        return self

    async def ask(self, key: str = "gus1", **fields: Any) -> httpx.Response:
        """A chat by this key."""
        headers = {"authorization": f"Bearer {secret(key)}", **fields.pop("headers", {})}
        return await self.client.post("/v1/chat/completions", json={**CHAT, **fields}, headers=headers)

    async def close(self) -> None:
        await self.client.aclose()
        await self.state.close()
        await self.pools.close()
        await self._redis.aclose()


Replicas = Callable[..., Awaitable[Replica]]


@pytest.fixture
async def replicas(redis_server: RedisServer) -> AsyncIterator[Replicas]:
    """Makes replicas over one empty Redis: of these policies, or with other entities (`use`)."""
    with redis_server.sync() as redis:
        redis.flushall()
    made: list[Replica] = []

    async def make(*policies: dict[str, Any], **changes: Any) -> Replica:
        made.append(Replica(f"unix://{redis_server.socket}"))
        return await made[-1].start(*policies, **changes)

    yield make
    for each in made:
        await each.close()


@pytest.fixture
async def own_redis() -> AsyncIterator[RedisServer]:
    """For those who stop it."""
    server = RedisServer(next(iter(binaries().values()))).start()
    yield server
    server.close()
