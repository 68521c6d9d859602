"""What a replica does beside its engine."""

import asyncio
import threading
from array import array
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from deployments.models import service as module
from deployments.models.calls import GenerateCall
from deployments.models.engines.protocol import Chunk, Embeddings, EmbedRequest, Engine, GenerateRequest
from deployments.models.service import AT_ONCE, ModelService

CALL = GenerateCall(
    id="c",
    model="m",
    form="chat",
    prompts=[[{"role": "user", "content": "hi"}]],
    n=1,
    max_tokens=8,
    temperature=None,
    top_p=None,
    stop=[],
    seed=None,
    logprobs=None,
    extra={},
    include_usage=False,
)


class Vectors(Engine):
    """As many numbers as were asked for."""

    async def embed(self, request: EmbedRequest) -> Embeddings:
        return Embeddings(tuple(array("f", [0.5] * int(str(each))) for each in request.inputs), 1)


@pytest.mark.parametrize(("numbers", "threads"), [(AT_ONCE // 2, 1), (AT_ONCE, 2)])
async def test_many_vectors_are_written_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, numbers: int, threads: int
) -> None:
    seen, write = {threading.get_ident()}, module.embeddings_body

    def watched(*args: Any, **kwargs: Any) -> bytes:
        seen.add(threading.get_ident())
        return write(*args, **kwargs)

    monkeypatch.setattr(module, "embeddings_body", watched)
    service = ModelService("simulated", {})
    service._engine = Vectors()
    answer = await service.embed({"model": "m", "inputs": [str(numbers), "2"], "dimensions": None, "base64": False})
    assert isinstance(answer, tuple)
    body = orjson.loads(answer[0])
    assert (len(body["data"][0]["embedding"]), body["data"][1]["embedding"]) == (numbers, [0.5, 0.5])
    assert len(seen) == threads


class Slow(Engine):
    """A token, and then nothing for long."""

    ended = False

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Chunk, None]:
        try:
            yield Chunk("a ")
            await asyncio.sleep(60)
        finally:
            self.ended = True


async def test_a_stream_that_its_client_leaves_ends_the_engines_work_and_raises_nothing() -> None:
    service = ModelService("simulated", {})
    service._engine = engine = Slow()
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in service.generate_stream(CALL):
            begun.set()

    reading = asyncio.create_task(read())
    await begun.wait()
    reading.cancel()
    await reading  # what it answers then costs gRPC memory for good
    assert engine.ended
    assert len(asyncio.all_tasks()) == 1
