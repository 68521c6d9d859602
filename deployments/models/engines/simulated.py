"""An engine that simulates: made-up words and vectors at a configured pace, for demos and for tests, of loads too.

It says what it is in its own words. A token is a word. Its time is made of what a real model's is made of, in
milliseconds, with n the number of replies that are between their first and their last token at that moment:

    to the first token      first_token_ms + prompt_token_ms * input tokens
    between two tokens      inter_token_ms * (1 + batch_slowdown * (n - 1))
    to embed                as to the first token

Nothing else takes time: it is the yardstick that the chain around engines is measured with.
"""

import asyncio
import random
import re
from array import array
from collections.abc import AsyncIterator, Mapping
from hashlib import shake_256
from math import fsum, sqrt
from typing import Annotated

from pydantic import Field

from deployments.models.engines.options import Options
from deployments.models.engines.protocol import (
    Chunk,
    Embeddings,
    EmbedRequest,
    Engine,
    EngineBrokenError,
    EngineFailureError,
    GenerateRequest,
    Prompt,
    RequestRefusedError,
    Usage,
    unsupported_parameter,
)
from deployments.models.engines.stopping import StopTexts
from deployments.tokenization.counting import Counting, words

_OPENING = "This reply is simulated: no model ran."
_WORDS = (
    "water",
    "flows",
    "through",
    "the",
    "gate",
    "and",
    "log",
    "keeps",
    "count",
    "while",
    "each",
    "window",
    "slides",
)
_AT_ONCE = 65_536
"""Words times dimensions that are embedded on the event loop: some 2 ms. More go to a thread."""

_FAILURES = re.compile(r"(?<!\S)!(fail-after\s+(?P<tokens>\d{1,6})|fail|break|hang)(?!\S)")


class SimulatedOptions(Options):
    """Options of `kind: simulated`."""

    first_token_ms: Annotated[float, Field(ge=0, le=60_000)] = 40.0
    """Time to the first token, in milliseconds."""
    prompt_token_ms: Annotated[float, Field(ge=0, le=1_000)] = 0.0
    """By how much each token of the prompt delays the first token of the reply, in milliseconds."""
    inter_token_ms: Annotated[float, Field(ge=0, le=60_000)] = 8.0
    """Time between two tokens of a reply that is alone, in milliseconds."""
    batch_slowdown: Annotated[float, Field(ge=0, le=10)] = 0.0
    """By which part of `inter_token_ms` each further reply that grows at the same time delays a token: with 0.05, 21
    replies at once come at half the pace of one."""
    reply_tokens: Annotated[int, Field(ge=1, le=100_000)] = 32
    """Length of a reply where the request allows it, in tokens."""
    embedding_dimensions: Annotated[int, Field(ge=1, le=8_192)] = 64
    """Length of the vectors."""
    failures: bool = False
    """Whether a word in the last message of a request makes it fail: `!fail` before its first token, `!fail-after 3`
    after so many (before the last, where there are fewer), `!hang` never answers, `!break` breaks the replica."""
    failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Which part of the requests fails at random, anywhere between the first token and the last."""
    failure_seed: int = 0
    """Of what `failure_rate` chooses: the same sequence of requests has the same failures."""

    def counting(self) -> Counting:
        return Counting("words")


class SimulatedEngine(Engine):
    """See the module."""

    def __init__(self, options: SimulatedOptions) -> None:
        self._options = options
        self._failing = random.Random(options.failure_seed)  # noqa: S311 - failures, not secrets
        self._broken = False
        self._growing = 0
        self.running = 0
        """Requests at work."""

    async def check_health(self) -> None:
        if self._broken:
            raise EngineBrokenError("the simulated engine was broken by a request, as its options allow")

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        options = self._options
        _refuse_unsupported(request)
        prompt = _texts(request.prompt)
        input_tokens = words(prompt)
        count = min(options.reply_tokens, request.max_tokens)
        # Seeded by the prompt as well: the same request gets the same reply, as tests of clients like it.
        chance = random.Random(f"{request.seed}{' '.join(prompt)}")  # noqa: S311 - words, not secrets
        reply = [*_OPENING.split(), *(chance.choice(_WORDS) for _ in range(count))][:count]
        stops = StopTexts(request.stop) if request.stop else None
        inter_token_s, slowdown = options.inter_token_ms / 1000, options.batch_slowdown
        grows = 0
        self.running += 1
        try:
            fails_after = await self._trouble(prompt[-1], count)
            await self._read(input_tokens)
            self._growing, grows = self._growing + 1, 1
            for number, word in enumerate(reply, 1):
                if number > fails_after:
                    raise EngineFailureError(f"a simulated failure after {fails_after} tokens")
                text = word if number == 1 else f" {word}"
                if stops is not None:
                    text = stops.push(text)
                stopped = stops is not None and stops.stopped
                if stopped or number == count:
                    text += stops.flush() if stops is not None else ""
                    capped = not stopped and count == request.max_tokens < options.reply_tokens
                    yield Chunk(text, "length" if capped else "stop", Usage(input_tokens, number))
                    return
                if text:
                    yield Chunk(text)
                if inter_token_s:
                    await asyncio.sleep(inter_token_s * (1 + slowdown * (self._growing - 1)))
        finally:
            self.running -= 1
            self._growing -= grows

    async def embed(self, request: EmbedRequest) -> Embeddings:
        own = self._options.embedding_dimensions
        dimensions = own if request.dimensions is None else request.dimensions
        if dimensions > own:
            raise RequestRefusedError(
                "invalid_value", f"This model's vectors have {own} dimensions.", param="dimensions"
            )
        texts = [each if isinstance(each, str) else " ".join(map(str, each)) for each in request.inputs]
        input_tokens = words(texts)
        self.running += 1
        try:
            if await self._trouble(texts[-1], 1) == 0:
                raise EngineFailureError("a simulated failure")
            await self._read(input_tokens)
        finally:
            self.running -= 1
        if input_tokens * own <= _AT_ONCE:
            return Embeddings(_vectors(texts, own, dimensions), input_tokens)
        return Embeddings(await asyncio.to_thread(_vectors, texts, own, dimensions), input_tokens)

    async def _read(self, input_tokens: int) -> None:
        await asyncio.sleep((self._options.first_token_ms + self._options.prompt_token_ms * input_tokens) / 1000)

    async def _trouble(self, last: str, count: int) -> int:
        """Fails where it shall; after how many of the `count` tokens it shall fail later: `count` for never."""
        if self._broken:
            raise EngineBrokenError("the simulated engine is broken")
        options = self._options
        if options.failure_rate and self._failing.random() < options.failure_rate:
            return self._failing.randrange(count)
        found = _FAILURES.search(last) if options.failures else None
        if found is None:
            return count
        if found["tokens"] is not None:
            return min(int(found["tokens"]), count - 1)
        if found[1] == "hang":
            await asyncio.Event().wait()
        if found[1] == "break":
            self._broken = True
            raise EngineBrokenError("a request broke the simulated engine")
        return 0


def _refuse_unsupported(request: GenerateRequest) -> None:
    if request.logprobs is not None:
        raise unsupported_parameter("logprobs")
    for name in request.extra:
        raise unsupported_parameter(name)


def _texts(prompt: Prompt) -> list[str]:
    if isinstance(prompt, str):
        return [prompt]
    return [part["content"] if isinstance(part, Mapping) else str(part) for part in prompt]


def _vectors(texts: list[str], own: int, dimensions: int) -> tuple["array[float]", ...]:
    return tuple(_vector(text, own, dimensions) for text in texts)


def _vector(text: str, own: int, dimensions: int) -> "array[float]":
    """The sum of one direction for each word, so that texts which share words are closer; of length 1."""
    found = re.findall(r"\w+", text.lower()) or [text]
    sums = [-127.5 * len(found)] * own
    for at in range(0, len(found), 256):  # not all at once: of a long text they would fill the memory
        hashes = [shake_256(word.encode()).digest(own) for word in found[at : at + 256]]
        sums = list(map(sum, zip(sums, *hashes, strict=True)))
    sums = sums[:dimensions]
    length = sqrt(fsum(x * x for x in sums))  # never 0 for one word; words that cancel out have no direction
    return array("f", (x / length for x in sums)) if length else array("f", [1.0, *[0.0] * (dimensions - 1)])
