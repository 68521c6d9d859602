"""Calls on replicas, where a stand-in answers for Ray Serve's handles."""

import asyncio
from collections.abc import Generator
from typing import Any

import grpc
import pytest

from deployments.router.client import RouterPools
from deployments.router.contract import PoolUnavailableError


class Response:
    """As Ray Serve's: that nobody awaits it any longer does not end the call."""

    def __init__(self, result: "asyncio.Future[Any]") -> None:
        self._result = result
        self.cancelled = False

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.shield(self._result).__await__()

    def cancel(self) -> None:
        self.cancelled = True


class Method:
    """One method of a handle."""

    def __init__(self, result: "asyncio.Future[Any]") -> None:
        self._result = result
        self.responses: list[Response] = []

    def remote(self, *_: Any) -> Response:
        self.responses.append(Response(self._result))
        return self.responses[-1]


class Handle:
    """Of a pool, or of the router."""

    def __init__(self, **results: "asyncio.Future[Any]") -> None:
        for name, result in results.items():
            setattr(self, name, Method(result))

    def options(self, **_: Any) -> "Handle":
        return self


def _done(value: Any) -> "asyncio.Future[Any]":
    future = asyncio.get_running_loop().create_future()
    future.set_result(value)
    return future


def _pools(**methods: "asyncio.Future[Any]") -> tuple[RouterPools, Any]:
    model: Any = Handle(**methods)
    router: Any = Handle(pools=_done({"m": model}))
    return RouterPools(router, "here", None), model


async def test_a_whole_reply() -> None:
    pools, model = _pools(chat=_done("reply"))
    assert await pools.call("m", "chat", {}) == "reply"
    assert [response.cancelled for response in model.chat.responses] == [False]


async def test_a_call_whose_time_is_up_ends_on_the_replica() -> None:
    pools, model = _pools(chat=asyncio.get_running_loop().create_future())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await pools.call("m", "chat", {})
    assert [response.cancelled for response in model.chat.responses] == [True]


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL])
async def test_a_replica_that_ends_under_a_grpc_call_cannot_serve(code: grpc.StatusCode) -> None:
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata()))
    pools, _ = _pools(chat=failed)
    with pytest.raises(PoolUnavailableError):
        await pools.call("m", "chat", {})
