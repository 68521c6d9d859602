"""What Ray Serve knows of a pool, and what it should know: slots on running replicas in, waiting requests out.

Serve tells every handle about its deployment's replicas as they come and go, and asks every handle how many requests
wait in it, which its autoscaling counts. Both are inside the handle and not public; all of that is in this module.
Read in Ray 2.60: `ray/serve/_private/router.py`.
"""

from collections.abc import Mapping
from typing import Any

from ray.serve.handle import DeploymentHandle


class PoolReplicas:
    """The replicas of one pool, through a handle that no request goes through."""

    def __init__(self, handle: DeploymentHandle[Any], slots_each: int | None) -> None:
        if not handle.is_initialized:
            handle._init()
        self._slots_each = slots_each
        self._router: Any = handle._router._asyncio_router

    def slots(self) -> int | None:
        """How many requests the running replicas take at once: their `max_ongoing_requests`, or fewer where the
        configuration says so. Replicas that start, stop or have died are not among them. None: Serve has given the
        deployment up, since its replicas failed to start again and again; it tries no more until it is deployed anew.
        """
        if not self._router._deployment_available:
            return None
        chooser = self._router.request_router
        most = self._slots_each
        if chooser is None:
            return 0
        each: list[int] = [replica.max_ongoing_requests for replica in list(chooser.curr_replicas.values())]
        return sum(each) if most is None else sum(min(most, slots) for slots in each)

    def tell_waiting(self, requests: int, *, no_replicas: bool) -> None:
        """So many requests wait for this pool. Serve's autoscaling counts them as it counts those in its own queues."""
        metrics = self._router._metrics_manager
        before, metrics.num_queued_requests = metrics.num_queued_requests, requests
        if no_replicas and requests and not before and metrics.autoscaling_config is not None:
            metrics.push_autoscaling_metrics_to_controller()  # as Serve does it: the pool starts from zero at once


class Replicas:
    """All pools."""

    def __init__(self, handles: Mapping[str, DeploymentHandle[Any]], slots_each: Mapping[str, int]) -> None:
        self._pools = {name: PoolReplicas(handle, slots_each.get(name)) for name, handle in handles.items()}

    def exchange(self, waiting: Mapping[str, int]) -> dict[str, int | None]:
        """Tells how many wait, learns how many slots there are (None: and will be none)."""
        slots = {name: pool.slots() for name, pool in self._pools.items()}
        for name, pool in self._pools.items():
            pool.tell_waiting(waiting.get(name, 0), no_replicas=not slots[name])
        return slots
