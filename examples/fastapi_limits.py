"""Limits for a plain FastAPI app: ten requests in ten seconds for each tenant, two at a time.

    python examples/fastapi_limits.py          # needs a Redis: REDIS_URL, or redis://127.0.0.1:6379
    curl -i http://127.0.0.1:8080/work -H 'x-tenant: acme'

The tenant's name is taken from a header as it is: in an application of yours it comes from what authenticates.
"""

import asyncio
import os

import uvicorn
from fastapi import FastAPI
from redis.asyncio import Redis
from starlette.datastructures import Headers
from starlette.types import Scope

from policies import Charge, Limiter, RateLimitPolicy
from policies.asgi import RateLimitMiddleware

burst = RateLimitPolicy(name="tenant-burst", scope="TENANT", limit=10, window="10s")
slots = RateLimitPolicy(name="tenant-slots", scope="TENANT", unit="concurrent_requests", limit=2)


def charges(scope: Scope) -> list[Charge]:
    tenant = Headers(scope=scope).get("x-tenant", "nobody")
    return [Charge(burst, tenant), Charge(slots, tenant)]


app = FastAPI()
limiter = Limiter(Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")))
app.add_middleware(RateLimitMiddleware, limiter=limiter, charges=charges)


@app.get("/work")
async def work() -> dict[str, str]:
    await asyncio.sleep(0.1)
    return {"done": "yes"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
