"""An engine that simulates: made-up words at a configured pace. For demos, load tests and tests of the chain.

It says what it is in its own words. Time to first token and between tokens are as configured; a token is a word.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.models.engines.protocol import Chunk, EngineOptions, EngineOptionsError, GenerateRequest, Usage

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


class SimulatedOptions(BaseModel):
    """Options of `kind: simulated`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_token_ms: Annotated[float, Field(ge=0, le=60_000)] = 40.0
    """Time to the first token, in milliseconds."""
    inter_token_ms: Annotated[float, Field(ge=0, le=60_000)] = 8.0
    """Time between two tokens, in milliseconds."""
    reply_tokens: Annotated[int, Field(ge=1, le=100_000)] = 32
    """Length of a reply where the request allows it, in tokens."""


class SimulatedEngine:
    """See the module."""

    def __init__(self, options: EngineOptions) -> None:
        try:
            self._options = SimulatedOptions.model_validate(options)
        except ValidationError as error:
            known = ", ".join(SimulatedOptions.model_fields)
            problems = "; ".join(
                f"unknown option {name}; known are {known}"
                if problem["type"] == "extra_forbidden"
                else f"{name}: {problem['msg']}, but it is {problem['input']!r:.80}"
                for problem in error.errors()
                for name in [".".join(map(str, problem["loc"]))]
            )
            raise EngineOptionsError(f"engine options of kind simulated: {problems}") from error

    async def load(self) -> None:
        return None

    async def check_health(self) -> None:
        return None

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        options = self._options
        prompt = " ".join(message["content"] for message in request.messages)
        input_tokens = len(prompt.split())
        count = min(options.reply_tokens, request.max_tokens)
        # Seeded by the prompt as well: the same request gets the same reply, as tests of clients like it.
        chance = random.Random(f"{request.seed}{prompt}")  # noqa: S311 - words, not secrets
        words = [*_OPENING.split(), *(chance.choice(_WORDS) for _ in range(count))][:count]
        said = ""
        await asyncio.sleep(options.first_token_ms / 1000)
        for number, word in enumerate(words, 1):
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


def _first_stop(text: str, stops: tuple[str, ...]) -> int | None:
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    return min(found) if found else None
