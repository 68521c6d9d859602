"""An application over three nodes of one Ray cluster: an ingress replica on each; run as a program.

`python -m tests.drills.nodes_app PORT REDIS_URL`: prints `ready`; kills a node without ceremony for each line on
its standard input and answers with `killed`; serves until that ends. The node that goes is one with nothing but an
ingress and a model replica: Serve's controller and HTTP are on the head, the router where it may stay.
"""

import asyncio
import os
import sys
from typing import Any, cast

import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve import Application

from deployments.ingress.deployment import Ingress
from deployments.router.deployment import ModelRouter

NODES = 3
SLOTS = 4
LIMIT, WINDOW = 20, "2s"
SECRET = f"sk-nodes-{'s' * 24}"


@serve.deployment(name="model-m", max_ongoing_requests=64, health_check_period_s=1)
class Quick:
    """Replies in ten pieces within 50 ms."""

    async def generate_stream(self, call: dict[str, Any]) -> Any:
        for number in range(10):
            await asyncio.sleep(0.005)
            yield b"data: x\n\n", 1, {"input_tokens": 1, "output_tokens": 10} if number == 9 else None

    def process_id(self, _: None = None) -> int:
        """By which the ingress knows that a replica answers."""
        return os.getpid()


def build(redis_url: str, catalogue: dict[str, Any]) -> Application:
    ingress, router, model = cast("tuple[Any, Any, Any]", (Ingress, ModelRouter, Quick))
    everywhere = {"num_replicas": NODES, "max_replicas_per_node": 1, "health_check_period_s": 1}
    small = {"num_cpus": 0.1}
    pool = model.options(**everywhere, ray_actor_options=small).bind()
    router_there = {"num_cpus": 0.1, "resources": {"head": 0.1}}
    application: Application = ingress.options(
        **everywhere, ray_actor_options=small, max_ongoing_requests=1000, user_config={"catalogue": catalogue}
    ).bind(
        router.options(ray_actor_options=router_there).bind({"m": pool}, qos={}, slots_each={"m": SLOTS}),
        redis_url=redis_url,
        key_prefix="nodes",
        deadline_s=5.0,
        audit_entries=10,
        settings={},
        longest_waits_s={},
    )
    return application


def main(port: int, redis_url: str) -> None:
    from tests.drills.several_nodes import CATALOGUE

    small = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(
        initialize_head=True, head_node_args={**small, "resources": {"head": 1}, "include_dashboard": False}
    )
    workers = [cluster.add_node(**small) for _ in range(NODES - 1)]
    ray.init(address=cluster.address, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(build(redis_url, CATALOGUE), name="nodes")
    print("ready", flush=True)
    for _ in sys.stdin:
        cluster.remove_node(workers.pop(), allow_graceful=False)
        print("killed", flush=True)
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
