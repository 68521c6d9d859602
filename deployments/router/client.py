"""The ingress's side of the router: `Pools` over Ray Serve's handles.

What the ingress may rely on is `deployments.router.contract`; how slots are agreed on, `deployments.router.admission`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from grpc.aio import AioRpcError  # type: ignore[import-untyped] # comes with ray[serve], without types
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError
from ray.serve.handle import DeploymentHandle

from deployments.router.admission import Admission
from deployments.router.contract import (
    AdmissionError,
    Census,
    ModelFailedError,
    PoolStatistics,
    PoolUnavailableError,
    QueueFullError,
    RouterAwayError,
    Slot,
    Wanted,
)
from deployments.router.exchange.messages import News, Report
from deployments.router.exchange.timing import HEARTBEAT_S

_log = logging.getLogger(__name__)

PROBE_S = 2.0
"""How long a pool may take to answer a readiness probe, in seconds."""

ANSWER_S = 1.0
"""How long a call to the router may take beyond what it may wait for news, in seconds. Then it is made again."""

_NO_ANSWER = (
    *(TimeoutError, RayError, DeploymentUnavailableError, BackPressureError, RequestCancelledError),
    AioRpcError,  # in the fast lane Ray hands on what gRPC says of a replica that ends under a call
)


class RouterPools:
    """`Pools` by the ModelRouter deployment."""

    def __init__(
        self, router: DeploymentHandle[Any], ingress: str, longest_waits_s: Mapping[str, float] | None
    ) -> None:
        """`ingress`: a name that no other process has had. `longest_waits_s`: of each band; None where nobody queues
        here, and Ray Serve's own queues hold what waits."""
        self._router = router
        self._ingress, self._longest_waits_s = ingress, longest_waits_s
        self._admission: Admission | None = None
        self._handles: dict[str, DeploymentHandle[Any]] = {}
        self._methods: dict[tuple[str, str, bool], DeploymentHandle[Any]] = {}
        """By pool, method and whether it streams: made once, since Ray would make them for each call."""
        self._answered: set[str] = set()
        self._settled = False
        """Whether a router was ever found granting. While a later one settles, requests wait: that is no want of
        readiness."""

    @property
    def admission(self) -> Admission | None:
        """The exchange with the router; None where nobody queues here."""
        if self._admission is None and self._longest_waits_s is not None:
            # Not in the constructor, which has no event loop.
            self._admission = Admission(self._ingress, self._exchange, time.monotonic, self._longest_waits_s)
        return self._admission

    def start(self) -> None:
        if self.admission is not None:
            self.admission.start()

    async def admit(self, wanted: Wanted) -> Slot:
        admission = self.admission
        return Slot(wanted, 0.0, None, None) if admission is None else await admission.admit(wanted)

    def release(self, slot: Slot, tokens: int | None) -> None:
        if self._admission is not None:
            self._admission.release(slot, tokens)

    def census(self) -> Census:
        return {} if self._admission is None else self._admission.holder.census()

    @property
    def walked(self) -> int:
        return 0 if self._admission is None else self._admission.holder.walked

    async def statistics(self) -> Sequence[PoolStatistics]:
        try:
            async with asyncio.timeout(ANSWER_S):
                return cast(Sequence[PoolStatistics], await _answer(self._router.statistics.remote()))
        except _NO_ANSWER as error:
            raise RouterAwayError(f"the model router does not answer: {type(error).__name__}") from error

    async def close(self) -> None:
        """Ends the exchange with the router."""
        if self._admission is not None:
            await self._admission.close()

    async def call(self, pool: str, method: str, argument: Any) -> Any:
        handle = await self._method(pool, method, stream=False)
        with self._errors_of(pool):
            return await _answer(handle.remote(argument))

    async def stream(self, pool: str, method: str, argument: Any) -> AsyncIterator[Any]:
        pieces = (await self._method(pool, method, stream=True)).remote(argument)
        try:
            with self._errors_of(pool):
                async for piece in pieces:
                    yield piece
        finally:
            pieces.cancel()

    async def unready(self) -> list[str]:
        self.start()
        problems = []
        try:
            async with asyncio.timeout(PROBE_S):
                await self._refresh()
                if self.admission is not None and not self._settled:
                    self._settled = not await self._router.settling.remote()
                    if not self._settled:
                        problems.append("the model router has just started, and learns what runs already")
        except _NO_ANSWER:
            return ["the model router does not answer"]
        for pool in sorted(self._handles.keys() - self._answered):
            try:
                async with asyncio.timeout(PROBE_S):
                    await self.call(pool, "process_id", None)
                self._answered.add(pool)
            except (TimeoutError, AdmissionError, ModelFailedError):
                problems.append(f"pool {pool!r}: no replica has answered yet")
        return problems

    async def _exchange(self, report: Report, wait: bool) -> News:
        try:
            async with asyncio.timeout(ANSWER_S + HEARTBEAT_S * wait):
                return cast(News, await _answer(self._router.exchange.remote(report, wait)))
        except _NO_ANSWER as error:
            raise RouterAwayError(f"the model router does not answer: {type(error).__name__}") from error

    async def _method(self, pool: str, method: str, *, stream: bool) -> Any:
        found = self._methods.get((pool, method, stream))
        if found is not None:
            return found
        if pool not in self._handles:
            with self._errors_of(pool):
                await self._refresh()
        handle = self._handles.get(pool)
        if handle is None:
            raise PoolUnavailableError(f"there is no pool {pool!r}: args.models has no model of that name")
        # What travels is made of dicts, lists, texts, bytes and numbers, which plain pickle writes several times faster
        # than Ray's own. What comes back may be anything that an engine raises, and stays with Ray's.
        found = handle.options(method_name=method, stream=stream, request_serialization="pickle")
        self._methods[pool, method, stream] = found
        return found

    async def _refresh(self) -> None:
        pools = await self._router.pools.remote()
        # A handle that is known stays: with each one, Ray starts a router that reports its metrics ten times a second
        # for as long as this process lives.
        self._handles = {name: self._handles.get(name, handle) for name, handle in pools.items()}
        self._methods = {key: method for key, method in self._methods.items() if key[0] in self._handles}

    @contextmanager
    def _errors_of(self, pool: str) -> Iterator[None]:
        try:
            yield
        except BackPressureError as error:
            raise QueueFullError(f"the queue of pool {pool!r} is full") from error
        except RayTaskError as error:  # raised by the model's own code; the replica lives
            raise ModelFailedError(f"the model of pool {pool!r} failed on this request") from error
        except (DeploymentUnavailableError, RayError, AioRpcError) as error:
            self._answered.discard(pool)  # not ready until one of its replicas has answered again
            raise PoolUnavailableError(f"pool {pool!r} cannot serve now: {type(error).__name__}") from error
        except Exception as error:  # in the fast lane Ray hands on what the model's own code raised as it is
            _log.warning("a call to pool %r raised %s", pool, type(error).__name__)
            raise ModelFailedError(f"the model of pool {pool!r} failed on this request") from error


async def _answer(response: Any) -> Any:
    """What a call brings. One that nobody awaits any longer ends; Ray would go on with it, on a slot that is free by
    our books."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
