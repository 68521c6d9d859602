"""A request for embeddings while the engine's thread works on it, and the way back to who waits for it."""

import asyncio
from array import array
from contextlib import suppress
from typing import TypeVar

import torch
from torch import Tensor

from deployments.models.engines.protocol import Embeddings, EmbedRequest, EngineError
from deployments.models.engines.transformers.rounds import Job

T = TypeVar("T")


class PendingRequest(Job):
    """Made on the event loop; everything else that it does is called by the thread."""

    def __init__(self, request: EmbedRequest, dimensions: int) -> None:
        super().__init__()
        self.asked = request.inputs
        self.answer: asyncio.Future[Embeddings] = asyncio.get_running_loop().create_future()
        self._dimensions = dimensions
        self._vectors: dict[int, Tensor] = {}

    def collect(self, index: int, vector: Tensor) -> None:
        """The vector of one input; with the last one the request is answered."""
        self._vectors[index] = vector
        if self.ended or len(self._vectors) < len(self.asked):
            return
        rows = torch.stack([self._vectors[each] for each in range(len(self.asked))])[:, : self._dimensions]
        vectors = tuple(_floats(row) for row in torch.nn.functional.normalize(rows, dim=1))
        self.ended = True
        settle(self.answer, Embeddings(vectors, input_tokens=sum(map(len, self.inputs))))

    def fail(self, error: EngineError) -> None:
        """Answers with an error."""
        self.ended = True
        settle(self.answer, error)


def settle(future: "asyncio.Future[T]", outcome: T | BaseException) -> None:
    """Ends a future from another thread, unless it has ended meanwhile: who waited may have gone."""

    def now() -> None:
        if future.done():
            return
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        future.get_loop().call_soon_threadsafe(now)


def _floats(row: Tensor) -> "array[float]":
    floats = array("f")
    floats.frombytes(row.numpy().tobytes())
    return floats
