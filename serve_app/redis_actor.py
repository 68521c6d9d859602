"""The embedded Redis in a Ray cluster: one detached actor on the head node that keeps the server for
everybody.

A detached actor, because what builds the application under `serve run` is a short Ray task, and the log must
outlive both it and every redeployment. The actor ends with the cluster, and the server with the actor. The
server itself, and every promise about its data, is `serve_app.embedded_redis`.
"""

import contextlib
import os
from pathlib import Path

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from serve_app.embedded_redis import LOCK_WAIT_S, START_TIMEOUT_S, EmbeddedRedis
from serve_app.errors import EmbeddedRedisError, ServeAppError
from serve_app.runtime_dir import state_id

NAMESPACE = "serve"
"""Ray namespace of the actor: that of Serve's own, so that `ray list actors` shows them together."""

HEAD_NODE_RESOURCE = "node:__internal_head__"
"""A resource that only the head node has; Serve places its controller by it as well."""

_SCHEDULING_WAIT_S = 30.0
"""How long the actor's process itself may take to come up on a busy machine."""


class RedisHost:
    """The actor. Its methods are called by `ensure_embedded_redis` alone."""

    def __init__(self, state_dir: str) -> None:
        self._state_dir = Path(state_dir)
        self._redis: EmbeddedRedis | None = None
        # When Ray restarts this actor after its process died, nobody calls `ensure` again: start here. An
        # error is not raised here, where Ray would wrap it in a dead actor, but by the `ensure` that follows.
        with contextlib.suppress(ServeAppError):
            self.ensure()

    def ensure(self) -> str:
        """The URL of the running server, which is started if it is not there yet."""
        if self._redis is None:
            redis = EmbeddedRedis(self._state_dir)
            redis.start()
            self._redis = redis
        return self._redis.url

    def process_ids(self) -> tuple[int, int | None]:
        """Of this actor's process and of the server."""
        return os.getpid(), self._redis.pid if self._redis is not None else None


def actor_name(state_dir: Path) -> str:
    """Name of the actor that keeps the Redis of `state_dir`."""
    return f"sluice-redis-{state_id(state_dir)}"


def ensure_embedded_redis(state_dir: Path, *, timeout_s: float = START_TIMEOUT_S + 2 * LOCK_WAIT_S) -> str:
    """Have the embedded Redis of `state_dir` running in this Ray cluster, and return its `unix://…` URL.

    Blocks until it answers. Must be called where Ray is connected: in a driver, a task or an actor. An actor
    that an earlier deployment left is used again. `EmbeddedRedisError` says why there is none.
    """
    state_dir = state_dir.resolve()
    _refuse_several_machines()
    host = (
        ray.remote(RedisHost)
        .options(
            name=actor_name(state_dir),
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            resources={HEAD_NODE_RESOURCE: 0.001},
            max_restarts=-1,
            max_task_retries=1,  # the actor may be restarting while it is asked,
        )
        .remote(str(state_dir))
    )
    try:
        url: str = ray.get(host.ensure.remote(), timeout=timeout_s + _SCHEDULING_WAIT_S)
    except RayTaskError as exc:
        # Its cause is the error as the actor raised it; the traceback in between helps nobody.
        raise EmbeddedRedisError(str(exc.cause)) from exc
    except GetTimeoutError as exc:
        raise EmbeddedRedisError(
            f"the embedded Redis did not come up within {timeout_s + _SCHEDULING_WAIT_S:g} s: see "
            f"{state_dir / 'redis.log'}, "
            f"and `ray list actors` for {actor_name(state_dir)}."
        ) from exc
    except RayActorError as exc:
        raise EmbeddedRedisError(
            f"the actor {actor_name(state_dir)} that keeps the embedded Redis died: {exc}"
        ) from exc
    return url


def _refuse_several_machines() -> None:
    addresses = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if len(addresses) > 1:
        raise EmbeddedRedisError(
            "args.redis.url is 'embedded', which only processes of one machine can reach, and this cluster "
            f"has {len(addresses)} "
            f"({', '.join(sorted(addresses))}). Set args.redis.url to a Redis that all of them reach, for "
            "example redis://host:6379/0."
        )
