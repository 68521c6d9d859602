"""The ModelRouter deployment: single writer of the pools; says who goes next, and where.

A pool is the replicas of one model. The ingress asks for the table of pools and keeps it; the handle of a pool picks
the least busy of its replicas (Ray Serve's power of two choices), and data goes straight from the replica to the
ingress. Slots are agreed on in `exchange` calls. The ingress's side of it is `deployments.router.client`.

It must have exactly one replica: two would each give away all slots. `serve_app.config_file` refuses more before
anything starts; since `serve deploy` does not ask it, a replica that is one of several refuses to start.
"""

import time
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.metrics.handover import Handover
from deployments.metrics.ray_metrics import RayExporter
from deployments.router.exchange.book import SlotBook
from deployments.router.exchange.messages import News, Report
from deployments.router.readings import router_readings
from deployments.router.replicas import Replicas
from deployments.router.scheduler import PoolStatistics, QosSettings
from deployments.router.service import RouterService


class SeveralRoutersError(Exception):
    """The deployment is to have more than one replica."""


@serve.deployment(
    name="ModelRouter", max_ongoing_requests=1_000, health_check_period_s=1
)  # asked often, so that one that died is replaced soon
class ModelRouter:
    """Single writer of its pools."""

    def __init__(
        self,
        pools: dict[str, DeploymentHandle[Any]],
        qos: dict[str, Any],
        slots_each: dict[str, int] | None = None,
        metrics: bool = True,
    ) -> None:
        """`qos`: fields of `QosSettings`. `slots_each`: by pool, how many requests a replica works on at once, where
        those are fewer than its `max_ongoing_requests`."""
        _require_alone()
        self._pools, self._slots_each = pools, slots_each or {}
        self._book = SlotBook(pools, QosSettings.model_validate(qos), time.monotonic)
        self._service: RouterService | None = None
        self._handover = Handover(lambda: router_readings(self._book.statistics()), RayExporter()) if metrics else None

    async def exchange(self, report: Report, wait: bool) -> News:
        """One call of an ingress: see `deployments.router.exchange.messages`."""
        return await self._running().exchange(report, wait)

    async def pools(self) -> dict[str, DeploymentHandle[Any]]:
        """The handle of each pool, by name."""
        return self._pools

    async def settling(self) -> bool:
        """Whether it has just started and grants nothing yet."""
        return self._book.settling

    async def statistics(self) -> list[PoolStatistics]:
        """How every pool stands."""
        return self._book.statistics()

    async def check_health(self) -> None:
        """Asked by Ray Serve, before the first request too. A router that cannot follow the replicas is not healthy."""
        self._running().check()

    def _running(self) -> RouterService:
        if self._service is None:  # not in the constructor, which has no event loop
            self._service = RouterService(self._book, Replicas(self._pools, self._slots_each).exchange)
            if self._handover is not None:
                self._handover.start()
        return self._service


def _require_alone() -> None:
    context = serve.get_replica_context()
    autoscaling = context._deployment_config.autoscaling_config  # while it is on, `world_size` does not tell
    if context.world_size != 1 or autoscaling is not None:
        raise SeveralRoutersError(
            "ModelRouter has one replica, for several would each give all slots away: "
            "write num_replicas: 1 and no autoscaling_config, or leave both out"
        )
