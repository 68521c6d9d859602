"""The Ingress deployment: the HTTP app on a replica, with its store, its router and its catalogue."""

import logging
from pathlib import Path
from secrets import token_hex
from typing import Any

from ray import serve
from ray.serve._private.logging_utils import get_serve_logs_dir
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp

from deployments.collecting import collect_seldom
from deployments.ingress.access_log import AccessLog, into_files
from deployments.ingress.app import create_app
from deployments.ingress.state import IngressSettings, IngressState
from deployments.metrics.ray_metrics import RayExporter
from deployments.router.client import RouterPools
from deployments.tokenization.counting import Counting
from deployments.tracing import TracingOptions, tracer_for
from policies import Limiter
from policies.access import RedisAccess
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import TIMEOUT_S, CatalogueStore
from policies.connect import NO_FILES, connect


@serve.deployment(
    name="Ingress", max_ongoing_requests=10_000, health_check_period_s=2
)  # asked often, so that one that died is replaced soon
@serve.ingress()
class Ingress:
    """Takes every request. Its `user_config` is the catalogue: `{"catalogue": {"tenants": […], …}}`."""

    def __init__(
        self,
        router: DeploymentHandle[Any],
        redis_url: str,
        key_prefix: str,
        deadline_s: float,
        audit_entries: int,
        settings: dict[str, Any],
        longest_waits_s: dict[str, float] | None,
        countings: dict[str, Counting] | None = None,
        metrics: bool = True,
        access_log: bool = False,
        tracing: TracingOptions | None = None,
        redis_access: RedisAccess = NO_FILES,
    ) -> None:
        _log_with_serve()
        collect_seldom()
        # Its files are read here, where they are mounted: one that is not there fails the deployment by its name.
        limiter = Limiter(connect(redis_url, access=redis_access), prefix=key_prefix, deadline_s=deadline_s)
        redis = connect(redis_url, timeout_s=TIMEOUT_S, access=redis_access)
        live = LiveCatalogue(CatalogueStore(redis, prefix=key_prefix, audit_entries=audit_entries))
        # Unlike its predecessor's: the router would take the slots of a replica that was started again for its own.
        name = f"{serve.get_replica_context().replica_id.unique_id}-{token_hex(4)}"
        pools = RouterPools(router, name, longest_waits_s)
        exporter = RayExporter() if metrics else None
        written = AccessLog(into_files(_access_log_file())) if access_log else None
        self._state = IngressState(
            *(IngressSettings(**settings), limiter, pools, live, countings or {}),
            *(exporter, written, tracer_for(tracing, "sluice-ingress")),
        )

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return create_app(self._state, request_ids=False)

    def check_health(self) -> None:
        """Asked by Ray Serve every few seconds, until this replica is to end: learns how many replicas share what is
        limited locally."""
        self._state.feed.asked()
        self._state.limiter.replicas = serve.get_replica_context().world_size

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Judges by another catalogue from the next request on; called by Ray Serve at the start and on each deploy."""
        await self._state.reconfigure(user_config)


def _access_log_file() -> Path:
    """Beside the logs of Ray Serve's replicas, so that whatever collects those collects it too."""
    folder = Path(get_serve_logs_dir())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"access_{serve.get_replica_context().replica_id.unique_id}.log"


def _log_with_serve() -> None:
    """Has our loggers write to the replica's log file (`logs/serve/replica_…_Ingress_….log`) at their own level.

    By themselves they write to standard error, which Ray Serve turns into lines of level INFO; in the fast lane those
    wait for a thousand others, while an ERROR is written at once.
    """
    for name in ("deployments", "policies"):
        logger = logging.getLogger(name)
        logger.handlers = list(logging.getLogger("ray.serve").handlers)
        logger.propagate = False
