"""A tiny Ray Serve application for tests of the launcher: one deployment over an embedded Redis.

`args.fail` has the builder raise, as a wrong option would.
"""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from serve_app.redis_actor import ensure_embedded_redis


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/readyz")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    return app


def build(args: dict[str, Any]) -> Application:
    if args.get("fail"):
        raise ValueError(f"no such flavour: {args['fail']}")
    ensure_embedded_redis(Path(args["state_dir"]))
    deployment = serve.deployment(name="Ingress", ray_actor_options={"num_cpus": 0.1})
    ingress = serve.ingress(make_app)(type("Ingress", (), {}))
    return deployment(ingress).bind()
