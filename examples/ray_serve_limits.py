"""Limits for a plain Ray Serve application: its ingress gets the middleware, and nothing else changes.

    serve run examples.ray_serve_limits:application   # needs a Redis: REDIS_URL, or redis://127.0.0.1:6379
    curl -i http://127.0.0.1:8000/ -H 'x-tenant: acme'

The same works for the ingress that `ray.serve.llm` builds: it is a FastAPI app as well.
"""

import os

from fastapi import FastAPI
from ray import serve
from redis.asyncio import Redis
from starlette.datastructures import Headers
from starlette.types import Scope

from policies import Charge, Limiter, RateLimitPolicy
from policies.asgi import RateLimitMiddleware

burst = RateLimitPolicy(name="tenant-burst", scope="TENANT", limit=10, window="10s")


def charges(scope: Scope) -> list[Charge]:
    return [Charge(burst, Headers(scope=scope).get("x-tenant", "nobody"))]


def build_app() -> FastAPI:
    """Called on the replica, so that the Redis connection belongs to it."""
    app = FastAPI()
    limiter = Limiter(Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")))
    app.add_middleware(RateLimitMiddleware, limiter=limiter, charges=charges)

    @app.get("/")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


application = serve.deployment(serve.ingress(build_app)(), ray_actor_options={"num_cpus": 0.1}).bind()
