"""The ModelReplica deployment: a `ModelService` on the device that Ray assigned.

The ingress calls its replicas directly. Slots, replicas and resources (`num_gpus`) come from serve_config.yaml.
"""

import logging
import os

from ray import serve

from deployments.models.service import ModelService


class _Replica(ModelService):
    def __init__(self, kind: str, options: dict[str, object]) -> None:
        super().__init__(kind, options, on_broken=_end_process)

    async def __del__(self) -> None:  # Ray Serve awaits it when a replica has served its last request
        await self.close()


def _end_process() -> None:
    """Ray Serve notices a process that is gone at once; one whose health check fails, only at the third time."""
    logging.shutdown()
    os._exit(1)


# Its health is asked often: the router follows the running replicas, and one that died must not count for long.
ModelReplica = serve.deployment(name="model", max_ongoing_requests=8, health_check_period_s=1)(_Replica)
