"""Where a class's methods run: plain ones in threads, async ones on the loop; who leaves, and what panics."""

import asyncio
import threading
from typing import Any

import pytest

from deployments.models.engines.protocol import (
    EmbedRequest,
    EngineFailureError,
    EngineOptionsError,
    GenerateRequest,
)
from deployments.models.engines.python.threads import PIECES_AHEAD
from tests.deployments.models.engines.compliance import collected, wait_until
from tests.deployments.models.engines.python.calling import engine_of, json_request


class Busy:
    """How many of its calls were at work at once, and in which threads."""

    def __init__(self, parties: int) -> None:
        self.meeting = threading.Barrier(parties, timeout=10)
        self.at_once, self.most, self.threads = 0, 0, {threading.current_thread().name}
        self.lock = threading.Lock()

    def load(self) -> None:
        self.threads.add(threading.current_thread().name)

    def infer(self, request: Any) -> int:
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            self.threads.add(threading.current_thread().name)
        self.meeting.wait()
        with self.lock:
            self.at_once -= 1
        return self.most


@pytest.mark.parametrize("threads", [1, 3])
async def test_so_many_plain_calls_run_at_once_as_there_are_threads(threads: int) -> None:
    engine = await engine_of(Busy, threads=threads, arguments={"parties": threads})
    most = await asyncio.gather(*(engine.infer(json_request(n)) for n in range(9)))
    assert max(map(int, most)) == threads
    if threads == 1:  # made, loaded and called in the same thread: some libraries want that
        assert len(engine._model.threads) == 1
    await engine.close()


async def test_a_blocking_call_does_not_freeze_the_loop() -> None:
    release = threading.Event()

    class Model:
        def infer(self, request: Any) -> bool:
            return release.wait(10)

    engine = await engine_of(Model)
    task = asyncio.create_task(engine.infer(json_request(1)))
    await asyncio.sleep(0.02)  # would not return while the loop was blocked
    assert not task.done()
    release.set()
    assert await task == b"true"
    await engine.close()


async def test_a_plain_call_whose_client_went_ends_by_itself_and_those_that_wait_never_begin() -> None:
    release, began = threading.Event(), []

    class Model:
        def infer(self, request: int) -> bool:
            began.append(request)
            return release.wait(10)

    engine = await engine_of(Model)
    tasks = [asyncio.create_task(engine.infer(json_request(n))) for n in range(3)]
    await wait_until(lambda: began == [0], "the first began")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)
    assert all(task.cancelled() for task in tasks)
    assert engine.running == 1, "a thread cannot be ended: it is still at work"
    release.set()
    await wait_until(lambda: engine.running == 0, "it ended")
    assert began == [0]
    await engine.close()


async def test_an_async_call_whose_client_went_is_cancelled() -> None:
    ended = asyncio.Event()

    class Model:
        async def infer(self, request: Any) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

    engine = await engine_of(Model)
    task = asyncio.create_task(engine.infer(json_request(1)))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait_for(ended.wait(), 5)
    await engine.close()


async def test_a_generator_is_closed_when_its_client_goes() -> None:
    ended = threading.Event()

    class Model:
        def generate(self, prompt: str) -> Any:
            try:
                while True:
                    yield "word "
            finally:
                ended.set()

    engine = await engine_of(Model)
    chunks: Any = engine.generate(GenerateRequest("go on", 1_000_000))
    await anext(chunks)
    await chunks.aclose()
    await wait_until(ended.is_set, "it was closed")
    await wait_until(lambda: engine.running == 0, "its thread is free")
    await engine.close()


async def test_a_generator_does_not_run_far_ahead_of_its_reader() -> None:
    made = []

    class Model:
        def generate(self, prompt: str) -> Any:
            while True:
                made.append(1)
                yield "word "

    engine = await engine_of(Model)
    chunks: Any = engine.generate(GenerateRequest("go on", 1_000_000))
    await anext(chunks)
    await wait_until(lambda: len(made) > PIECES_AHEAD, "it goes ahead")
    await asyncio.sleep(0.05)
    assert len(made) < PIECES_AHEAD + 10
    for _ in range(3 * PIECES_AHEAD):  # and goes on when it is read
        await anext(chunks)
    await chunks.aclose()
    await wait_until(lambda: engine.running == 0, "its thread is free")
    await engine.close()


class Panic(BaseException):
    """As libraries written in Rust raise it."""


async def test_a_panic_is_a_failure_of_that_request() -> None:
    class Plain:
        def infer(self, request: Any) -> None:
            raise Panic("in the library")

        def embed(self, texts: list[str]) -> None:
            raise Panic("in the library")

        def generate(self, prompt: str) -> Any:
            yield "a "
            raise Panic("in the library")

    class Async:
        async def infer(self, request: Any) -> None:
            raise Panic("in the library")

        async def embed(self, texts: list[str]) -> None:
            raise Panic("in the library")

        async def generate(self, prompt: str) -> Any:
            yield "a "
            raise Panic("in the library")

    for model in (Plain, Async):
        engine = await engine_of(model)
        for attempt in (
            engine.infer(json_request(1)),
            engine.embed(EmbedRequest(("a",))),
            collected(engine, GenerateRequest("a", 3)),
        ):
            with pytest.raises(EngineFailureError):
                await asyncio.wait_for(attempt, 5)
        assert engine.running == 0
        await engine.close()


class Numbers:
    """Made into a list where its thread is known."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def tolist(self) -> list[list[float]]:
        self.threads.add(threading.get_ident())
        return [[1.0, 2.0]]


async def test_what_methods_return_is_not_converted_on_the_event_loop() -> None:
    numbers = Numbers()

    class Plain:
        def infer(self, request: Any) -> Any:
            return numbers

        def embed(self, texts: list[str]) -> Any:
            return numbers

    class Async:
        async def infer(self, request: Any) -> Any:
            return numbers

        async def embed(self, texts: list[str]) -> Any:
            return numbers

    for model in (Plain, Async):
        engine = await engine_of(model)
        assert await engine.infer(json_request(1)) == b"[[1.0,2.0]]"
        assert len((await engine.embed(EmbedRequest(("a",)))).vectors) == 1
        await engine.close()
    assert numbers.threads
    assert threading.get_ident() not in numbers.threads


async def test_an_async_count_of_tokens_is_refused_whatever_the_class_offers() -> None:
    class Model:
        def embed(self, texts: list[str]) -> Any:
            return [[1.0] for _ in texts]

        async def count_tokens(self, text: str) -> int:
            return 1

    with pytest.raises(EngineOptionsError, match="count_tokens is async"):
        await engine_of(Model)
