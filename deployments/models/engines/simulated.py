"""An engine that simulates: made-up words at a configured pace. For demos, load tests and tests of the chain.

It says what it is in its own words. Time to first token and between tokens are as configured; a token is a word.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Annotated

from pydantic import Field

from deployments.models.engines.options import Options
from deployments.models.engines.protocol import Chunk, Engine, GenerateRequest, Prompt, Usage, unsupported_parameter
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


class SimulatedOptions(Options):
    """Options of `kind: simulated`."""

    first_token_ms: Annotated[float, Field(ge=0, le=60_000)] = 40.0
    """Time to the first token, in milliseconds."""
    inter_token_ms: Annotated[float, Field(ge=0, le=60_000)] = 8.0
    """Time between two tokens, in milliseconds."""
    reply_tokens: Annotated[int, Field(ge=1, le=100_000)] = 32
    """Length of a reply where the request allows it, in tokens."""

    def counting(self) -> Counting:
        return Counting("words")


class SimulatedEngine(Engine):
    """See the module."""

    def __init__(self, options: SimulatedOptions) -> None:
        self._options = options

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        for name in ("logprobs",) if request.logprobs is not None else tuple(request.extra):
            raise unsupported_parameter(name)
        options = self._options
        prompt = _texts(request.prompt)
        input_tokens = words(prompt)
        count = min(options.reply_tokens, request.max_tokens)
        # Seeded by the prompt as well: the same request gets the same reply, as tests of clients like it.
        chance = random.Random(f"{request.seed}{' '.join(prompt)}")  # noqa: S311 - words, not secrets
        reply = [*_OPENING.split(), *(chance.choice(_WORDS) for _ in range(count))][:count]
        said = ""
        await asyncio.sleep(options.first_token_ms / 1000)
        for number, word in enumerate(reply, 1):
            text = word if number == 1 else f" {word}"
            stop = _first_stop(said + text, request.stop)
            if stop is not None or number == count:
                text = text if stop is None else (said + text)[len(said) : stop]
                capped = stop is None and count == request.max_tokens < options.reply_tokens
                yield Chunk(text, "length" if capped else "stop", Usage(input_tokens, number))
                return
            yield Chunk(text)
            said += text
            if options.inter_token_ms:
                await asyncio.sleep(options.inter_token_ms / 1000)


def _texts(prompt: Prompt) -> list[str]:
    if isinstance(prompt, str):
        return [prompt]
    return [part["content"] if isinstance(part, Mapping) else str(part) for part in prompt]


def _first_stop(text: str, stops: tuple[str, ...]) -> int | None:
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    return min(found) if found else None
