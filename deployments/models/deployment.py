"""The ModelReplica deployment: a `ModelService` on the device that Ray assigned.

The ingress calls its replicas directly. Slots, replicas and resources (`num_gpus`) come from serve_config.yaml.
"""

from ray import serve

from deployments.models.service import ModelService

# Its health is asked often: the router follows the running replicas, and one that died must not count for long.
ModelReplica = serve.deployment(name="model", max_ongoing_requests=8, health_check_period_s=1)(ModelService)
