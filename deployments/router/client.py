"""The ingress's side of the router: `Pools` over Ray Serve's handles.

What the ingress may rely on is `deployments.router.contract`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from deployments.router.contract import AdmissionError, ModelFailedError, PoolUnavailableError, QueueFullError

PROBE_S = 2.0
"""How long a pool may take to answer a readiness probe, in seconds."""


class RouterPools:
    """`Pools` by the ModelRouter deployment."""

    def __init__(self, router: DeploymentHandle[Any]) -> None:
        self._router = router
        self._handles: dict[str, DeploymentHandle[Any]] = {}
        self._streams: dict[str, DeploymentHandle[Any]] = {}
        self._answered: set[str] = set()

    async def call(self, pool: str, method: str, argument: Any) -> Any:
        handle = (await self._table(pool))[0]
        with self._errors_of(pool):
            return await getattr(handle, method).remote(argument)

    async def stream(self, pool: str, method: str, argument: Any) -> AsyncIterator[Any]:
        handle = (await self._table(pool))[1]
        pieces = getattr(handle, method).remote(argument)
        try:
            with self._errors_of(pool):
                async for piece in pieces:
                    yield piece
        finally:
            pieces.cancel()

    async def unready(self) -> list[str]:
        problems = []
        try:
            async with asyncio.timeout(PROBE_S):
                await self._refresh()
        except (TimeoutError, DeploymentUnavailableError, RayError):
            return ["the model router does not answer"]
        for pool in sorted(self._handles.keys() - self._answered):
            try:
                async with asyncio.timeout(PROBE_S):
                    await self.call(pool, "process_id", None)
                self._answered.add(pool)
            except (TimeoutError, AdmissionError, ModelFailedError):
                problems.append(f"pool {pool!r}: no replica has answered yet")
        return problems

    async def _table(self, pool: str) -> tuple[DeploymentHandle[Any], DeploymentHandle[Any]]:
        if pool not in self._handles:
            with self._errors_of(pool):
                await self._refresh()
        try:
            return self._handles[pool], self._streams[pool]
        except KeyError:
            raise PoolUnavailableError(f"there is no pool {pool!r}: args.models has no model of that name") from None

    async def _refresh(self) -> None:
        self._handles = dict(await self._router.pools.remote())
        self._streams = {name: handle.options(stream=True) for name, handle in self._handles.items()}

    @contextmanager
    def _errors_of(self, pool: str) -> Iterator[None]:
        try:
            yield
        except BackPressureError as error:
            raise QueueFullError(f"the queue of pool {pool!r} is full") from error
        except RayTaskError as error:  # raised by the model's own code; the replica lives
            raise ModelFailedError(f"the model of pool {pool!r} failed on this request") from error
        except (DeploymentUnavailableError, RayError) as error:
            self._answered.discard(pool)  # not ready until one of its replicas has answered again
            raise PoolUnavailableError(f"pool {pool!r} cannot serve now: {type(error).__name__}") from error
