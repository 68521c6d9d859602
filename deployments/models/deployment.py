"""The ModelReplica deployment: a `ModelService` on the device that Ray assigned.

The ingress calls its replicas directly. Slots, replicas and resources (`num_gpus`) come from serve_config.yaml.
"""

import logging
import os

import ray
from ray import serve
from ray.util import get_current_placement_group

from deployments.collecting import collect_seldom
from deployments.models.service import ModelService
from deployments.tracing import TracingOptions, tracer_for


class _Replica(ModelService):
    def __init__(
        self, kind: str, options: dict[str, object], stream_interval_s: float, tracing: TracingOptions | None = None
    ) -> None:
        _hide_gpus_of_others()
        collect_seldom()
        super().__init__(kind, options, _end_process, stream_interval_s, tracer_for(tracing, "sluice-model"))

    async def __del__(self) -> None:  # Ray Serve awaits it when a replica has served its last request
        await self.close()


def _hide_gpus_of_others() -> None:
    """Where a replica has no GPU, Ray leaves every GPU of its machine in sight: with `device: auto` a model that was
    to run on the CPU would take memory of GPUs that Ray has given to others. In a placement group they stand in the
    bundles, and workers that the engine starts take them from there."""
    if not ray.get_gpu_ids() and get_current_placement_group() is None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _end_process() -> None:
    """Ray Serve notices a process that is gone at once; one whose health check fails, only at the third time."""
    logging.shutdown()
    os._exit(1)


# Its health is asked often: the router follows the running replicas, and one that died must not count for long. Three
# answers that do not come in time, and it is replaced: a bit more than half a minute for an engine that hangs.
ModelReplica = serve.deployment(
    name="model", max_ongoing_requests=8, health_check_period_s=1, health_check_timeout_s=10
)(_Replica)
