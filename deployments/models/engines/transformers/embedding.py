"""Embeddings: requests are collected, run in batches by one thread of their own, and answered one by one.

The thread alone touches the tokenizer and the model; the event loop is never held up. While a batch runs, what arrives
waits; nothing waits for company, so a lone request is as quick as the model. Which inputs run together is
`…transformers.rounds`, what runs them `…transformers.encoder`.
"""

import asyncio
import logging
import queue
import threading

import torch

from deployments.models.engines.protocol import (
    Embeddings,
    EmbedRequest,
    Engine,
    EngineBrokenError,
    EngineFailureError,
    RequestRefusedError,
)
from deployments.models.engines.transformers.embedding_request import PendingRequest, settle
from deployments.models.engines.transformers.encoder import Encoder
from deployments.models.engines.transformers.options import TransformersOptions
from deployments.models.engines.transformers.rounds import Piece, Turns, batches

_log = logging.getLogger(__name__)

BATCH_TOKENS = {"cpu": 1_024, "cuda": 32_768}
"""Most tokens of a batch where the options say nothing, by kind of device: beyond it hardly anything is gained."""

PADDING_TOKENS = {"cpu": 64, "cuda": 4_096}
"""How much padding costs as much as one more batch, by kind of device."""

CLOSE_S = 5.0
"""How long closing waits for the batch that runs."""


class EmbeddingEngine(Engine):
    """See the module."""

    def __init__(self, options: TransformersOptions) -> None:
        self._options = options
        self._encoder: Encoder | None = None
        self._arrived: queue.SimpleQueue[PendingRequest | None] = queue.SimpleQueue()
        """None: the thread is to end."""
        self._turns: Turns[PendingRequest] = Turns()
        self._accepted: set[PendingRequest] = set()
        """By the thread, and not answered yet."""
        self._thread: threading.Thread | None = None
        self._over: str | None = None
        """Set once nothing is served any more; says why."""

    @property
    def running(self) -> int:
        """How many requests are in the thread's hands."""
        return len(self._accepted)

    async def load(self) -> None:
        # In the thread that will run it: what libraries keep ready, they keep for each thread.
        loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._thread = threading.Thread(target=self._run, args=(loaded,), name="embeddings", daemon=True)
        self._thread.start()
        await loaded

    async def check_health(self) -> None:
        if self._over is not None or self._thread is None or not self._thread.is_alive():
            raise EngineBrokenError(self._over or "the engine is not loaded")

    async def close(self) -> None:
        self._over = self._over or "the engine was closed"
        self._arrived.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_S)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        if self._encoder is None:
            raise EngineBrokenError("the engine is not loaded")
        pending = PendingRequest(request, _dimensions(request.dimensions, self._encoder.dimensions))
        self._arrived.put(pending)
        try:
            await self.check_health()  # after the put: at its end the thread answers what it finds
            return await pending.answer
        finally:
            pending.ended = True
            pending.answer.cancel()

    def _run(self, loaded: "asyncio.Future[None]") -> None:
        """The thread."""
        try:
            encoder = Encoder(self._options)
            most_tokens = self._options.embed_batch_tokens or BATCH_TOKENS[encoder.device.type]
            encoder.warm_up(most_tokens)
            self._encoder = encoder
            settle(loaded, None)
            padding_tokens = PADDING_TOKENS[encoder.device.type]
            while self._gather(encoder):
                for batch in batches(self._turns.next_round(most_tokens), most_tokens, padding_tokens):
                    self._run_batch(encoder, batch)
                self._accepted = {each for each in self._accepted if not each.ended}
        except BaseException as error:  # noqa: BLE001 - whatever ends the thread, who waits for it must hear of it
            _log.exception("the thread of embeddings ended")
            self._over = self._over or f"the thread of embeddings ended: {error!r}"
            settle(loaded, error)
        self._fail_the_rest()

    def _gather(self, encoder: Encoder) -> bool:
        """Takes in what has arrived; waits where there is nothing else to do. False: the thread is to end."""
        while True:
            try:
                request = self._arrived.get(block=not self._turns)
            except queue.Empty:
                return True
            if request is None:
                return False
            if not request.ended and self._tokenize(encoder, request):
                self._accepted.add(request)
                self._turns.add(request)

    def _tokenize(self, encoder: Encoder, request: PendingRequest) -> bool:
        """Makes tokens of its inputs; answers it where one cannot be run."""
        try:
            for index, asked in enumerate(request.asked):
                request.inputs.append(encoder.accepted(index, asked))
        except RequestRefusedError as error:
            request.fail(error)
            return False
        except Exception as error:  # noqa: BLE001 - tokenizers raise what they like; other requests go on
            _log.exception("the tokenizer failed")
            request.fail(EngineFailureError(f"the tokenizer failed: {error}"))
            return False
        return True

    def _run_batch(self, encoder: Encoder, pieces: list[Piece[PendingRequest]], *, may_split: bool = True) -> None:
        pieces = [piece for piece in pieces if not piece.job.ended]
        if not pieces:
            return
        try:
            vectors = encoder.vectors([piece.tokens for piece in pieces])
        except torch.OutOfMemoryError as error:
            failure = f"the device has no memory for {sum(len(piece.tokens) for piece in pieces)} tokens: {error}"
            out_of_memory = True
        except torch.AcceleratorError:  # after which CUDA serves this process nothing any more
            raise
        except Exception as error:  # noqa: BLE001 - models raise what they like; other batches go on
            _log.exception("a batch of embeddings failed")
            failure, out_of_memory = f"the model failed: {error}", False
        else:
            for piece, vector, finite in zip(pieces, vectors, vectors.isfinite().all(dim=1).tolist(), strict=True):
                if finite:
                    piece.job.collect(piece.index, vector)
                else:
                    piece.job.fail(EngineFailureError(f"the vector of input[{piece.index}] is not finite"))
            return
        if out_of_memory and may_split and len(pieces) > 1:  # here, where the failed attempt holds no memory any more
            _log.warning("%s; trying again in halves", failure)
            torch.cuda.empty_cache()
            middle = len(pieces) // 2
            for half in (pieces[:middle], pieces[middle:]):
                self._run_batch(encoder, half, may_split=False)
            return
        for piece in pieces:
            piece.job.fail(EngineFailureError(failure))

    def _fail_the_rest(self) -> None:
        """Answers who still waits, once nothing will run any more."""
        while not self._arrived.empty():
            request = self._arrived.get()
            if request is not None:
                self._accepted.add(request)
        for request in self._accepted:
            request.fail(EngineBrokenError(self._over))


def _dimensions(wanted: int | None, own: int) -> int:
    if wanted is None:
        return own
    if not 1 <= wanted <= own:
        raise RequestRefusedError(
            "unsupported_parameter",
            f"dimensions must be from 1 to {own}, which is what this model has, but it is {wanted}.",
            param="dimensions",
        )
    return wanted
