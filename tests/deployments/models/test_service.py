"""What a replica does beside its engine."""

import threading
from array import array
from typing import Any

import orjson
import pytest

from deployments.models import service as module
from deployments.models.engines.protocol import Embeddings, EmbedRequest, Engine
from deployments.models.service import AT_ONCE, ModelService


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
