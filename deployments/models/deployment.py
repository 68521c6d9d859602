"""The ModelReplica deployment: a `ModelService` on the device that Ray assigned.

The ingress calls its replicas directly. Slots, replicas and resources (`num_gpus`) come from serve_config.yaml.
"""

from ray import serve

from deployments.models.service import ModelService

ModelReplica = serve.deployment(name="model", max_ongoing_requests=8)(ModelService)
