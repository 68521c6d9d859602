"""Calls on replicas, where a stand-in answers for Ray Serve's handles."""

import asyncio
from collections.abc import AsyncIterator, Generator
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from ray.exceptions import RayTaskError

from deployments.router.client import RouterPools
from deployments.router.contract import ModelFailedError, PoolUnavailableError, RouterAwayError


class Response:
    """As Ray Serve's: that nobody awaits it any longer does not end the call."""

    def __init__(self, result: "asyncio.Future[Any]") -> None:
        self._result = result
        self.cancelled = False

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.shield(self._result).__await__()

    def cancel(self) -> None:
        self.cancelled = True


class Pieces:
    """As Ray Serve's streamed response: one piece, and then what it ends with."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.cancelled = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"piece"
        raise self._error

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

    def options(self, *, method_name: str, **_: Any) -> Any:
        return getattr(self, method_name)


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


async def test_a_pool_is_called_by_the_first_handle_there_was() -> None:
    first, later = Handle(chat=_done("first"), process_id=_done(1)), Handle(chat=_done("later"), process_id=_done(2))
    router: Any = Handle(pools=_done({"m": first}))
    pools = RouterPools(router, "here", None)
    assert await pools.unready() == []
    router.pools = Method(_done({"m": later, "n": later}))  # each answer brings handles anew
    assert await pools.unready() == []
    assert [await pools.call(pool, "chat", {}) for pool in "mn"] == ["first", "later"]


async def test_a_pool_that_is_gone_is_called_no_more() -> None:
    pools, _ = _pools(chat=_done("reply"), process_id=_done(1))
    assert await pools.call("m", "chat", {}) == "reply"
    cast(Any, pools)._router.pools = Method(_done({}))
    assert await pools.unready() == []
    with pytest.raises(PoolUnavailableError):
        await pools.call("m", "chat", {})


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


class ModelsOwnError(Exception):
    """What an engine raises. By gRPC it comes as it is, else inside a `RayTaskError`."""


OF_THE_MODEL = [ModelsOwnError("it failed"), RayTaskError("generate", "a traceback", ModelsOwnError("it failed"))]


@pytest.mark.parametrize("error", OF_THE_MODEL, ids=["by gRPC", "by Ray"])
async def test_what_the_model_raises_is_a_failure_of_this_request(error: Exception) -> None:
    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    pools, _ = _pools(chat=failed)
    with pytest.raises(ModelFailedError):
        await pools.call("m", "chat", {})


@pytest.mark.parametrize("error", OF_THE_MODEL, ids=["by gRPC", "by Ray"])
async def test_and_in_mid_stream_too(error: Exception) -> None:
    pools, model = _pools()
    response = Pieces(error)
    model.chat = SimpleNamespace(remote=lambda _: response)
    stream = pools.stream("m", "chat", {})
    assert await anext(stream) == b"piece"
    with pytest.raises(ModelFailedError):
        await anext(stream)
    assert response.cancelled


async def test_what_the_router_says_of_its_pools() -> None:
    router: Any = Handle(statistics=_done(["how it stands"]))
    assert await RouterPools(router, "here", None).statistics() == ["how it stands"]


async def test_a_router_that_says_nothing_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.router.client.ANSWER_S", 0.01)
    router: Any = Handle(statistics=asyncio.get_running_loop().create_future())
    with pytest.raises(RouterAwayError):
        await RouterPools(router, "here", None).statistics()
    assert [response.cancelled for response in router.statistics.responses] == [True]


async def test_where_nobody_queues_there_is_no_census() -> None:
    pools, _ = _pools()
    assert (pools.census(), pools.walked) == ({}, 0)
