"""Calls of a class's methods from the event loop: `async` ones on it, plain ones in threads, so that none freezes it.

A thread cannot be ended from outside. A plain method whose caller has gone runs to its end, and its result is dropped;
a plain generator ends before its next piece. What waits for a thread does not begin.
"""

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

PIECES_AHEAD = 1_024
"""Of its reader that a plain generator may be before it waits."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a call. Passed as a value, since a future takes no `StopIteration`."""

    value: Any = None
    error: BaseException | None = None

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


def _outcome(call: Callable[[], Any]) -> _Outcome:
    try:
        return _Outcome(call())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - raised again on the event loop
        return _Outcome(error=error)
    except BaseException as error:  # noqa: BLE001 - libraries in Rust panic so; were it lost, its caller would wait on
        failure = RuntimeError(f"{type(error).__name__}: {error}")
        failure.__cause__ = error
        return _Outcome(error=failure)


class Caller:
    """Of one object's methods."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "python-model")
        self._beside = ThreadPoolExecutor(1, "python-model-health")
        self._lock, self._running = threading.Lock(), 0

    @property
    def running(self) -> int:
        """Calls that have begun or wait for a thread; those whose callers have gone are among them to their end."""
        return self._running

    async def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What the method returns, in the end."""
        if not inspect.iscoroutinefunction(method):
            outcome = await asyncio.wrap_future(self._submit(lambda: method(*args, **kwargs)))
            return outcome.result()
        self._count(1)
        try:
            return await method(*args, **kwargs)
        finally:
            self._count(-1)

    async def converted(
        self, convert: Callable[[Any], Any], method: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """What `convert` makes of what the method returns; not on the event loop, since that may be large."""
        if inspect.iscoroutinefunction(method):
            return await asyncio.to_thread(convert, await self.call(method, *args, **kwargs))
        return await self.call(lambda: convert(method(*args, **kwargs)))

    async def call_beside(self, method: Callable[[], Any]) -> Any:
        """The same beside all other calls: it waits for no thread of theirs."""
        if inspect.iscoroutinefunction(method):
            return await method()
        return (await asyncio.wrap_future(self._beside.submit(_outcome, method))).result()

    async def pieces(self, method: Callable[..., Any], **kwargs: Any) -> AsyncGenerator[Any, None]:
        """What a method yields; or, as one piece, the text that it returns. Closing this ends it."""
        if inspect.isasyncgenfunction(method):
            source = self._counted(method(**kwargs))
        elif inspect.iscoroutinefunction(method):
            source = self._counted(_async_pieces(await self.call(method, **kwargs)))
        else:
            source = self._from_thread(lambda: method(**kwargs))
        async with aclosing(source) as pieces:
            async for piece in pieces:
                yield piece

    def close(self) -> None:
        """Ends the threads, once they are idle."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._beside.shutdown(wait=False, cancel_futures=True)

    async def _counted(self, source: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        self._count(1)
        try:
            async with aclosing(source) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._count(-1)

    async def _from_thread(self, make: Callable[[], Any]) -> AsyncGenerator[Any, None]:
        """The pieces of a plain generator, which runs as a whole in one thread. It may be `PIECES_AHEAD` of its reader:
        a slow client does not hold the thread."""
        loop, ready = asyncio.get_running_loop(), asyncio.Queue[_Outcome | None]()
        gone, ahead = threading.Event(), threading.Semaphore(PIECES_AHEAD)

        def send(outcome: _Outcome | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody reads
                loop.call_soon_threadsafe(ready.put_nowait, outcome)

        def produce() -> None:
            pieces = iter(_plain_pieces(make()))
            try:
                for piece in pieces:
                    ahead.acquire()
                    if gone.is_set():
                        return
                    send(_Outcome(piece))
            finally:
                if inspect.isgenerator(pieces):
                    pieces.close()

        def run() -> None:
            outcome = _outcome(produce)
            send(outcome if outcome.error is not None else None)

        future = self._submit(run)
        try:
            while (outcome := await ready.get()) is not None:
                ahead.release()
                yield outcome.result()
        finally:
            gone.set()
            ahead.release()
            future.cancel()  # unless it has begun

    def _submit(self, call: Callable[[], Any]) -> "Future[_Outcome]":
        self._count(1)
        future = self._pool.submit(_outcome, call)
        future.add_done_callback(lambda _: self._count(-1))  # when the thread is done with it, or will not begin
        return future

    def _count(self, change: int) -> None:
        with self._lock:
            self._running += change


def _plain_pieces(made: Any) -> Iterable[Any]:
    if not isinstance(made, str | Iterable):
        raise TypeError(f"generate() yields texts or returns one, but it returned {type(made).__name__}")
    return [made] if isinstance(made, str) else made


async def _async_pieces(made: Any) -> AsyncGenerator[Any, None]:
    if isinstance(made, str):
        yield made
        return
    if not isinstance(made, AsyncIterable):
        raise TypeError(f"generate() yields texts or returns one, but it returned {type(made).__name__}")
    pieces = aiter(made)
    try:
        async for piece in pieces:
            yield piece
    finally:
        if inspect.isasyncgen(pieces):
            await pieces.aclose()
