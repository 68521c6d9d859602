"""The model router, and an ingress that stands for many: what the router carries when Ray carries its calls.

Each of the many is the product's own side of the exchange (`RouterPools`). Nothing is run on the slots that they get.
"""

import asyncio
import contextlib
import time
from typing import Any, cast

from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from deployments.models.deployment import ModelReplica
from deployments.router.client import RouterPools
from deployments.router.contract import AdmissionError, Wanted
from deployments.router.deployment import ModelRouter
from deployments.router.scheduler import QosSettings

POOL = "crowd"
app = FastAPI()


@serve.deployment
@serve.ingress(app)
class CrowdIngress:
    """As many ingresses as it is told to be."""

    def __init__(self, router: DeploymentHandle[Any]) -> None:
        self._router = router
        self._ingresses: list[RouterPools] = []
        self._callers: list[asyncio.Task[None]] = []
        self._starts = 0

    @app.post("/begin")
    async def begin(self, ingresses: int, callers: int, hold_s: float) -> dict[str, Any]:
        """In place of those before. Each caller asks for a slot, keeps it for a moment, and asks again."""
        await self.end()
        run = f"{time.monotonic_ns():x}"
        self._ingresses = [RouterPools(self._router, f"crowd-{run}-{n}", {}) for n in range(ingresses)]
        for each in self._ingresses:
            each.start()
        self._callers = [
            asyncio.create_task(self._call(self._ingresses[n % ingresses], n, hold_s)) for n in range(callers)
        ]
        return await self.counts()

    @app.get("/counts")
    async def counts(self) -> dict[str, Any]:
        """Starts and calls to the router so far, and when that was."""
        calls = sum(each.admission.calls for each in self._ingresses if each.admission is not None)
        return {"starts": self._starts, "calls": calls, "at_s": time.perf_counter()}

    @app.post("/end")
    async def end(self) -> dict[str, str]:
        """Nobody asks any longer."""
        for task in self._callers:
            task.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        for each in self._ingresses:
            await each.close()
        self._callers, self._ingresses = [], []
        return {"status": "ended"}

    @app.get("/readyz")
    async def ready(self) -> dict[str, str]:
        """The router answers."""
        await self._router.pools.remote()
        return {"status": "ready"}

    async def _call(self, ingress: RouterPools, number: int, hold_s: float) -> None:
        wanted = Wanted(POOL, "standard", f"t{number % 8}", 1.0, 100, 60.0)
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                try:
                    slot = await ingress.admit(wanted)
                except AdmissionError:
                    await asyncio.sleep(hold_s)
                    continue
                self._starts += 1
                await asyncio.sleep(hold_s)
                ingress.release(slot, 100)


def build(_: dict[str, Any]) -> Application:
    """The router with one pool, and the crowd."""
    # Ray's decorators make deployments of these classes, which type checkers cannot see.
    ingress, router, replica = cast("tuple[Any, Any, Any]", (CrowdIngress, ModelRouter, ModelReplica))
    pool = replica.options(name="crowd-model").bind("simulated", {}, 0.0)
    application: Application = ingress.bind(router.bind({POOL: pool}, qos=QosSettings().model_dump()))
    return application
