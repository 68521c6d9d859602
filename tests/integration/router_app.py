"""An application of two ingress replicas, a router and a small pool whose model tells what it does; run as a program.

`python -m tests.integration.router_app PORT REDIS_URL FOLDER`: serves until its standard input ends. The model works on
as many requests as it is sent (`max_ongoing_requests` is far above the pool's slots), so that only the router keeps
them within the slots; it writes a line for every start to `FOLDER/starts`, with how many run then.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import ray
from ray import serve
from ray.serve import Application

from deployments.ingress.deployment import Ingress
from deployments.router.deployment import ModelRouter

SLOTS = 4
APPLICATION = "drills"
BANDS = ({"name": "internal"}, {"name": "premium"}, {"name": "standard"}, {"name": "batch"})


@serve.deployment(name="model-m", max_ongoing_requests=64, health_check_period_s=1)
class Talkative:
    """Takes as many milliseconds for a reply as its first message says, in ten pieces."""

    def __init__(self, folder: str) -> None:
        self._starts = Path(folder) / "starts"
        self._running = 0

    async def generate_stream(self, call: dict[str, Any]) -> AsyncIterator[Any]:
        milliseconds, label = call["prompts"][0][0]["content"].split(" ")
        self._running += 1
        with self._starts.open("a") as starts:
            starts.write(f"{label} {self._running}\n")
        try:
            for number in range(10):
                await asyncio.sleep(int(milliseconds) / 10_000)
                yield b"data: x\n\n", 1, {"input_tokens": 1, "output_tokens": 10} if number == 9 else None
        finally:
            self._running -= 1

    def process_id(self, _: None = None) -> int:
        return os.getpid()


def build(redis_url: str, folder: str, catalogue: dict[str, Any]) -> Application:
    ingress, router, model = cast("tuple[Any, Any, Any]", (Ingress, ModelRouter, Talkative))
    small = {"num_cpus": 0.1}
    pool = model.options(ray_actor_options=small).bind(folder)
    application: Application = ingress.options(
        num_replicas=2, ray_actor_options=small, user_config={"catalogue": catalogue}, health_check_period_s=1
    ).bind(
        router.options(ray_actor_options=small).bind({"m": pool}, qos={"bands": BANDS}, slots_each={"m": SLOTS}),
        redis_url=redis_url,
        key_prefix="drills",
        deadline_s=5.0,
        audit_entries=10,
        settings={},
        longest_waits_s={band["name"]: 30.0 for band in BANDS},
    )
    return application


if __name__ == "__main__":
    from tests.integration.test_router import CATALOGUE

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(build(sys.argv[2], sys.argv[3], CATALOGUE), name=APPLICATION)
    print("ready", flush=True)
    sys.stdin.read()
    serve.shutdown()
