"""The middleware around a small app, over a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from policies.asgi import USED, RateLimitMiddleware
from tests.policies.redis_server import RedisServer

BURST = RateLimitPolicy(name="burst", scope="TENANT", limit=2, window="1h")
SLOTS = RateLimitPolicy(name="slots", scope="TENANT", unit="concurrent_requests", limit=2, window="3s")
TOKENS = RateLimitPolicy(name="tokens", scope="TENANT", unit="total_tokens", limit=100, window="1h")


class App:
    """An application under limits, and what its client sees."""

    def __init__(self, limiter: Limiter, *charges: Charge) -> None:
        self.reached = 0
        self.limiter, self.charges = limiter, list(charges)
        app = FastAPI()
        app.add_middleware(RateLimitMiddleware, limiter=limiter, charges=lambda _: self.charges)

        @app.get("/")
        async def plain(request: Request) -> str:
            self.reached += 1
            request.scope[USED] = {"total_tokens": 7}
            return "ok"

        @app.get("/slow")
        async def slow() -> StreamingResponse:
            async def pieces() -> AsyncIterator[bytes]:
                for _ in range(8):
                    yield b"."
                    await asyncio.sleep(0.5)

            return StreamingResponse(pieces())

        @app.get("/breaks")
        async def breaks() -> None:
            raise ZeroDivisionError

        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://app")

    async def used(self) -> list[int]:
        await asyncio.sleep(0.05)  # what a request gave back is settled in the background
        return [window.used for window in (await self.limiter.peek(self.charges)).windows]


@pytest.fixture
async def limiter(newest_server: RedisServer) -> AsyncIterator[Limiter]:
    redis = Redis(unix_socket_path=newest_server.socket)
    limiter = Limiter(redis, deadline_s=5)
    yield limiter
    await limiter.close()
    await redis.aclose()


async def test_admitted_then_denied(limiter: Limiter) -> None:
    app = App(limiter, Charge(BURST, "acme"))
    replies = [await app.client.get("/") for _ in range(3)]
    assert [r.status_code for r in replies] == [200, 200, 429]
    assert [r.headers["x-ratelimit-remaining-requests"] for r in replies] == ["1", "0", "0"]
    assert replies[2].json()["error"]["policy"] == "burst"
    assert int(replies[2].headers["retry-after"]) > 3_500
    assert app.reached == 2, "what is denied never reaches the application"


async def test_what_was_used_is_settled(limiter: Limiter) -> None:
    app = App(limiter, Charge(TOKENS, "acme", 50))
    await app.client.get("/")
    assert await app.used() == [7]


async def test_a_lease_is_renewed_while_the_reply_streams(limiter: Limiter) -> None:
    app = App(limiter, Charge(SLOTS, "acme"))
    request = asyncio.create_task(app.client.get("/slow"))  # 4 s, longer than its lease of 3 s
    await asyncio.sleep(3.5)
    assert await app.used() == [1]
    assert (await request).status_code == 200
    assert await app.used() == [0]


@pytest.mark.parametrize("path", ["/breaks", "/nowhere"])
async def test_given_back_whatever_the_end(limiter: Limiter, path: str) -> None:
    app = App(limiter, Charge(SLOTS, "acme"))
    await app.client.get(path)
    assert await app.used() == [0]


async def test_no_charges_no_limits(limiter: Limiter) -> None:
    app = App(limiter)
    assert [(await app.client.get("/")).status_code for _ in range(3)] == [200, 200, 200]


async def test_a_cost_that_never_fits(limiter: Limiter) -> None:
    app = App(limiter, Charge(TOKENS, "acme", 101))
    reply = await app.client.get("/")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "request_exceeds_limit")


async def test_without_redis() -> None:
    app = App(Limiter(Redis(unix_socket_path="/nowhere")), Charge(BURST, "acme"))
    reply = await app.client.get("/")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "limits_unavailable")
    assert reply.headers["retry-after"] == "1"


async def test_the_fastapi_example(newest_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    monkeypatch.setenv("REDIS_URL", f"unix://{newest_server.socket}")
    example: Any = importlib.import_module("examples.fastapi_limits")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(example.app), base_url="http://app") as client:
        codes = [(await client.get("/work", headers={"x-tenant": "acme"})).status_code for _ in range(11)]
    assert codes == [200] * 10 + [429]
    await example.limiter.close()
