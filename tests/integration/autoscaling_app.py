"""An application whose pool scales by itself, from none to two replicas of two slots; run as a program.

`python -m tests.integration.autoscaling_app PORT REDIS_URL`: serves until its standard input ends.
"""

import asyncio
import os
import sys
from typing import Any, cast

import ray
from ray import serve

from deployments.ingress.deployment import Ingress
from deployments.router.deployment import ModelRouter

SCALING = {
    "min_replicas": 0,
    "max_replicas": 2,
    "initial_replicas": 0,
    "target_ongoing_requests": 2,
    "upscale_delay_s": 0.5,
    "downscale_delay_s": 2,
    "metrics_interval_s": 0.5,
    "look_back_period_s": 1,
}


@serve.deployment(name="model-m", max_ongoing_requests=2, autoscaling_config=SCALING, health_check_period_s=1)
class Slow:
    """Takes a second, and says which process it is."""

    async def generate(self, _: dict[str, Any]) -> tuple[bytes, dict[str, int]]:
        await asyncio.sleep(1)
        return str(os.getpid()).encode(), {"input_tokens": 1, "output_tokens": 1}

    def process_id(self, _: None = None) -> int:
        return os.getpid()


if __name__ == "__main__":
    from tests.integration.test_router import CATALOGUE

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    ingress, router, model = cast("tuple[Any, Any, Any]", (Ingress, ModelRouter, Slow))
    small = {"num_cpus": 0.1}
    application = ingress.options(ray_actor_options=small, user_config={"catalogue": CATALOGUE}).bind(
        router.options(ray_actor_options=small).bind({"m": model.options(ray_actor_options=small).bind()}, qos={}),
        redis_url=sys.argv[2],
        key_prefix="scaling",
        deadline_s=5.0,
        audit_entries=10,
        settings={},
        longest_waits_s=dict.fromkeys(("internal", "premium", "standard", "batch"), 60.0),
    )
    serve.run(application, name="scaling")
    print("ready", flush=True)
    sys.stdin.read()
    serve.shutdown()
