"""The ingress without Ray: its whole HTTP surface over a real Redis, with models called in this process."""

import hashlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from deployments.ingress.app import create_app
from deployments.ingress.state import IngressSettings, IngressState
from deployments.models.service import ModelService
from deployments.router.admission import Admission
from deployments.router.contract import (
    Census,
    PoolStatistics,
    PoolUnavailableError,
    RouterAwayError,
    Slot,
    Wanted,
)
from deployments.router.exchange.book import SlotBook
from deployments.router.scheduler import QosSettings
from deployments.router.service import RouterService
from policies import Limiter
from policies.catalogue import Catalogue
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from tests.policies.redis_server import RedisServer, binaries

DEADLINE_S = 5.0
"""Long, because the machine that runs the tests may be busy; deadlines have tests of their own."""

PLENTY = 64
"""Slots of a pool where the test says nothing else."""


class LocalPools:
    """Calls the models' service in this process, where Ray Serve would call a replica."""

    def __init__(self) -> None:
        options = {"first_token_ms": 1, "inter_token_ms": 1, "reply_tokens": 5}
        self.services: dict[str, Any] = {name: ModelService("simulated", options) for name in ("small", "large")}
        self.failure: Exception | None = None
        self.slots: dict[str, int] = {}
        """Of pools that have fewer than plenty."""
        self.qos = QosSettings()
        self.started = False
        self.router_away = False
        self._admission: Admission | None = None
        self._router: RouterService | None = None

    @property
    def router(self) -> RouterService:
        """The real router's work, in this process."""
        if self._router is None:
            book = SlotBook(self.services, self.qos, time.monotonic, grace_s=0)
            self._router = RouterService(book, lambda _: {**dict.fromkeys(self.services, PLENTY), **self.slots})
        return self._router

    def start(self) -> None:
        self.started = True

    async def admit(self, wanted: Wanted) -> Slot:
        if self._admission is None:
            self._admission = Admission("here", self.router.exchange, time.monotonic, {})
        return await self._admission.admit(wanted)

    def release(self, slot: Slot, tokens: int | None) -> None:
        assert self._admission is not None
        self._admission.release(slot, tokens)

    def census(self) -> Census:
        return {} if self._admission is None else self._admission.holder.census()

    @property
    def walked(self) -> int:
        return 0 if self._admission is None else self._admission.holder.walked

    async def statistics(self) -> Sequence[PoolStatistics]:
        if self.router_away:
            raise RouterAwayError("the router is away")
        return self.router.book.statistics()

    async def close(self) -> None:
        for work in (self._admission, self._router):
            if work is not None:
                await work.close()

    async def call(self, pool: str, method: str, argument: Any) -> Any:
        return await getattr(self._service(pool), method)(argument)

    async def stream(self, pool: str, method: str, argument: Any) -> AsyncIterator[Any]:
        async for piece in getattr(self._service(pool), method)(argument):
            yield piece

    async def unready(self) -> list[str]:
        return []

    def _service(self, pool: str) -> Any:
        if self.failure is not None:
            raise self.failure
        try:
            return self.services[pool]
        except KeyError:
            raise PoolUnavailableError(f"no pool {pool}") from None


def _key(identifier: str, user: str, **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "user": user, "sha256": hashlib.sha256(secret(identifier).encode()).hexdigest(), **fields}


def secret(identifier: str) -> str:
    """The whole key with this id."""
    return f"sk-{identifier}" if identifier.startswith("demo-") else f"sk-{identifier}-{'s' * 24}"


CATALOGUE: dict[str, Any] = {
    "tenants": [{"name": "acme", "qos_tier": "premium"}, {"name": "globex"}],
    "users": [{"name": "paula", "tenant": "acme"}, {"name": "gus", "tenant": "globex"}],
    "keys": [
        _key("paula1", "paula"),
        _key("gus1", "gus"),
        _key("onlysmall", "gus", models=["small"]),
        _key("expired", "gus", expires_at="2020-01-01T00:00:00Z"),
        _key("revoked", "gus", revoked=True),
        _key("admin1", "paula", role="admin"),
        _key("demo-x", "gus", demo=True),
    ],
    "tiers": [{"name": "cheap"}, {"name": "dear"}],
    "models": [
        {"name": "small", "tier": "cheap", "aliases": ["default"]},
        {"name": "large", "tier": "dear"},
        {"name": "ghost", "tier": "dear"},
    ],
    "policies": [],
}


@pytest.fixture(scope="package")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer(next(iter(binaries().values()))).start()
    yield server
    server.close()


@pytest.fixture
def pools() -> LocalPools:
    return LocalPools()


@pytest.fixture
async def state(redis_server: RedisServer, pools: LocalPools) -> AsyncIterator[IngressState]:
    redis = Redis(unix_socket_path=redis_server.socket)
    await redis.flushall()
    live = LiveCatalogue(CatalogueStore(Redis(unix_socket_path=redis_server.socket)))
    state = IngressState(IngressSettings(max_body_bytes=4096), Limiter(redis, deadline_s=DEADLINE_S), pools, live)
    await live.start()
    yield state
    await state.close()
    await redis.aclose()


def use(state: IngressState, *policies: dict[str, Any], **changes: Any) -> None:
    """Judges by the test's catalogue with these policies."""
    state.use(Catalogue.parse({**CATALOGUE, "policies": list(policies), **changes}))


@pytest.fixture
async def client(state: IngressState) -> AsyncIterator[httpx.AsyncClient]:
    use(state)
    transport = httpx.ASGITransport(create_app(state), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice") as client:
        client.headers["authorization"] = f"Bearer {secret('gus1')}"
        yield client
