"""The ModelRouter deployment: knows the pools and answers where a request runs.

A pool is the replicas of one model. The ingress asks for the table of pools and keeps it; the handle of a pool picks
the least busy of its replicas (Ray Serve's power of two choices), and data goes straight from the replica to the
ingress. The ingress's side of it is `deployments.router.client`.
"""

from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle


@serve.deployment(name="ModelRouter", max_ongoing_requests=1_000)
class ModelRouter:
    """Single writer of its pools."""

    def __init__(self, pools: dict[str, DeploymentHandle[Any]]) -> None:
        self._pools = pools

    def pools(self) -> dict[str, DeploymentHandle[Any]]:
        """The handle of each pool, by name."""
        return self._pools
