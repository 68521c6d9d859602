"""kill -9 of what serves: an ingress, the router, a model replica, Serve's controller."""

import asyncio

import psutil

from tests.drills.kit.drill import NO_REPLY, Drill
from tests.drills.kit.scene import Scene

REPLACED_S = 90.0

# What HAProxy says of a replica that has just gone comes from HAProxy, or Ray's proxy behind it, and not from Sluice.
OF_A_DEAD_INGRESS = frozenset({NO_REPLY})
OF_A_DEAD_MODEL = frozenset({"500 model_failed", "503 model_unavailable", "200, then an error in the stream"})
OF_A_DEAD_ROUTER = frozenset({"503 model_unavailable"})


async def _killed(scene: Scene, title: str) -> None:
    """One of them, and another is there in its place."""
    before = await asyncio.to_thread(scene.app.processes, title)
    assert before, f"there is no {title}"
    wanted = len(before)
    victim = before[0]
    victim.kill()

    def replaced() -> bool:
        now: list[psutil.Process] = scene.app.processes(title)
        return len(now) >= wanted and victim.pid not in {process.pid for process in now}

    await scene.until(replaced, f"another {title}", REPLACED_S)


async def _ingress(scene: Scene) -> None:
    await _killed(scene, "ServeReplica:sluice:Ingress")


async def _router(scene: Scene) -> None:
    await _killed(scene, "ServeReplica:sluice:ModelRouter")


async def _model(scene: Scene) -> None:
    await _killed(scene, "ServeReplica:sluice:model-quick")


async def _controller(scene: Scene) -> None:
    await _killed(scene, "ServeController")


DRILLS = [
    Drill("ingress", "kill -9 of one of two ingress replicas", _ingress, OF_A_DEAD_INGRESS),
    Drill("router", "kill -9 of the router", _router, OF_A_DEAD_ROUTER),
    Drill("model", "kill -9 of one of two model replicas", _model, OF_A_DEAD_MODEL),
    Drill("controller", "kill -9 of Ray Serve's controller", _controller),
]
