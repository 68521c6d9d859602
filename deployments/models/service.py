"""What a model replica does: calls in, one engine, replies out. Without Ray; the deployment is `…models.deployment`.

Who may call, and when, was decided before. A request that the engine refuses is answered by a `Refusal`, not by an
exception: it is the client's to mend, and what it says goes to the client.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

from deployments.models.calls import (
    Answer,
    EmbedCall,
    GenerateCall,
    InferCall,
    Piece,
    Refusal,
    Traced,
    UsageReport,
    refusal,
)
from deployments.models.choices import Choice, merged
from deployments.models.coalescing import coalesced
from deployments.models.engines.protocol import (
    Chunk,
    EmbedRequest,
    EngineBrokenError,
    EngineFailureError,
    GenerateRequest,
    InferRequest,
    RequestRefusedError,
    Usage,
)
from deployments.models.engines.registry import make_engine
from deployments.models.openai_embeddings import embeddings_body
from deployments.models.openai_format import FORMS, EventStream, completion

if TYPE_CHECKING:  # OpenTelemetry comes in only where tracing is on
    from deployments.tracing.tracer import Tracer

_log = logging.getLogger(__name__)


STREAM_INTERVAL_S = 0.01
"""Where nothing else is said: a hundred messages a second look as smooth as any number."""

AT_MOST_PIECES = 256
"""Pieces of one reply that wait to leave. More, and the engine is not asked for further ones."""

AT_ONCE = 16_384
"""Numbers of vectors that are written on the event loop: some 1 ms. More go to a thread."""


class ModelService:
    """One replica of one model."""

    def __init__(
        self,
        kind: str,
        options: dict[str, Any],
        on_broken: Callable[[], None] | None = None,
        stream_interval_s: float = STREAM_INTERVAL_S,
        tracer: "Tracer | None" = None,
    ) -> None:
        """`on_broken` is called when the engine can serve nothing any more: it should end this process, since a replica
        that fails every request at once draws more of them than one that works. `stream_interval_s`: least time between
        two messages of a stream, in seconds. `tracer`: where requests are traced that their ingress traces."""
        self._engine = make_engine(kind, options)
        self._on_broken, self._stream_interval_s = on_broken, stream_interval_s
        self._loaded, self._tracer = False, tracer

    async def check_health(self) -> None:
        """Loads the model the first time. Raises when nothing can be served."""
        if not self._loaded:
            await self._engine.load()
            self._loaded = True
        with self._watched():
            await self._engine.check_health()

    async def generate(self, call: GenerateCall) -> Answer:
        """A whole text."""
        choices = _choices(call)
        pieces: list[list[Chunk]] = [[] for _ in choices]
        try:
            with self._watched(call):
                async with aclosing(merged(self._engine, choices)) as chunks:
                    async for index, chunk in chunks:
                        pieces[index].append(chunk)
        except RequestRefusedError as error:
            return refusal(error)
        usage = _total(choices, {index: own[-1].usage for index, own in enumerate(pieces) if own})
        told = [
            (
                "".join(chunk.text for chunk in own),
                None if call["logprobs"] is None else [each for chunk in own for each in chunk.logprobs],
                own[-1],
            )
            for own in pieces
        ]
        return completion(FORMS[call["form"]](), call["id"], call["model"], told, usage), _report(usage)

    async def generate_stream(self, call: GenerateCall) -> AsyncIterator[Piece | Refusal]:
        """A text as it grows."""
        try:
            async with aclosing(coalesced(self._pieces(call), AT_MOST_PIECES, self._stream_interval_s)) as batches:
                async for batch in batches:
                    yield batch[0] if len(batch) == 1 else _joined(batch)
        except RequestRefusedError as error:
            yield refusal(error)
        except asyncio.CancelledError:
            # The client has left. Were this passed on, Ray Serve would answer the call, which nobody hears: gRPC keeps
            # some 280 bytes for good of what it cannot send (grpc/grpc#43360), and of a mere end a third of that.
            return

    async def _pieces(self, call: GenerateCall) -> AsyncGenerator[Piece, None]:
        choices = _choices(call)
        stream = EventStream(
            FORMS[call["form"]](),
            call["id"],
            call["model"],
            include_usage=call["include_usage"],
            logprobs=call["logprobs"] is not None,
        )
        opening = stream.opening(len(choices))  # travels with the first piece: until then a failure has a status code
        used: dict[int, Usage | None] = {}
        with self._watched(call):
            async with aclosing(merged(self._engine, choices)) as chunks:
                async for index, chunk in chunks:
                    events, report = opening + stream.piece(index, chunk), None
                    opening = b""
                    if chunk.usage is not None:
                        used[index] = chunk.usage
                        if len(used) == len(choices):
                            usage = _total(choices, used)
                            report = _report(usage)
                            events += stream.closing(usage)
                    yield events, 1, report
        _total(choices, used)

    async def embed(self, call: EmbedCall) -> Answer:
        """Vectors."""
        inputs = tuple(each if isinstance(each, str) else tuple(each) for each in call["inputs"])
        try:
            with self._watched(call):
                embeddings = await self._engine.embed(EmbedRequest(inputs, call["dimensions"]))
        except RequestRefusedError as error:
            return refusal(error)
        if sum(map(len, embeddings.vectors)) <= AT_ONCE:
            body = embeddings_body(call["model"], embeddings, as_base64=call["base64"])
        else:
            body = await asyncio.to_thread(embeddings_body, call["model"], embeddings, as_base64=call["base64"])
        return body, UsageReport(input_tokens=embeddings.input_tokens, output_tokens=0)

    async def infer(self, call: InferCall) -> Answer:
        """A reply in the model's own schema."""
        try:
            with self._watched(call):
                body = await self._engine.infer(InferRequest(call["body"], call["content_type"]))
        except RequestRefusedError as error:
            return refusal(error)
        return body, UsageReport(input_tokens=0, output_tokens=0)

    async def close(self) -> None:
        """Ends what runs in the background."""
        await self._engine.close()
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)

    def process_id(self, _: None = None) -> int:
        """The operating system's id of this replica's process; for readiness, tests and drills."""
        return os.getpid()

    @contextmanager
    def _watched(self, call: Traced | None = None) -> Iterator[None]:
        traced: AbstractContextManager[None] = nullcontext()
        if self._tracer is not None and call is not None and "traceparent" in call:
            traced = self._tracer.served(call["traceparent"], RequestRefusedError)
        try:
            with traced:
                yield
        except EngineBrokenError:
            _log.exception("the engine is broken: this replica ends and is replaced")
            if self._on_broken is not None:
                self._on_broken()
            raise


def _choices(call: GenerateCall) -> list[Choice]:
    """All that one call asks for: the choices of the first prompt, then those of the next."""
    return [
        Choice(
            GenerateRequest(
                prompt=prompt if isinstance(prompt, str) else tuple(prompt),
                max_tokens=call["max_tokens"],
                temperature=call["temperature"],
                top_p=call["top_p"],
                stop=tuple(call["stop"]),
                seed=None if call["seed"] is None else call["seed"] + number,
                logprobs=call["logprobs"],
                extra=call["extra"],
            ),
            first_of_prompt=number == 0,
        )
        for prompt in call["prompts"]
        for number in range(call["n"])
    ]


def _total(choices: list[Choice], used: dict[int, Usage | None]) -> Usage:
    """A prompt is read once, however many choices it has."""
    if len(used) < len(choices) or None in used.values():
        raise EngineFailureError("the engine ended a reply without saying what it used")
    known = cast("dict[int, Usage]", used)
    return Usage(
        sum(known[index].input_tokens for index, choice in enumerate(choices) if choice.first_of_prompt),
        sum(usage.output_tokens for usage in known.values()),
    )


def _joined(pieces: list[Piece]) -> Piece:
    return b"".join(events for events, _, _ in pieces), sum(chunks for _, chunks, _ in pieces), pieces[-1][2]


def _report(usage: Usage) -> UsageReport:
    return UsageReport(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
