"""The suite, for classes of all forms."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest

from deployments.models.engines.protocol import (
    Engine,
    EngineBrokenError,
    GenerateRequest,
    InferRequest,
)
from tests.deployments.models.engines.compliance import (
    EmbeddingCompliance,
    GenerationCompliance,
    InferCompliance,
    collected,
)
from tests.deployments.models.engines.python.models import STORY

HERE = "tests.deployments.models.engines.python.models"


def asking(content: str) -> GenerateRequest:
    return GenerateRequest(({"role": "user", "content": content},), max_tokens=50, temperature=0.0)


class _Teller(GenerationCompliance):
    kind = "python"
    lacks: ClassVar = {
        "logprobs": "texts have no probabilities",
        "tokens": "what a token is, only the class knows",
        "too long": "the class has no context",
    }
    unicode_reply = STORY

    def unicode_request(self) -> GenerateRequest:
        return asking("Where is the 水?")

    @asynccontextmanager
    async def failing(self, engine: Engine) -> AsyncIterator[GenerateRequest]:
        yield asking("!fail")

    async def break_down(self, engine: Engine) -> None:
        with pytest.raises(EngineBrokenError):
            await collected(engine, asking("!break"))


@pytest.mark.asyncio(loop_scope="class")
class TestPlainGenerator(_Teller):
    options: ClassVar = {"import_path": f"{HERE}:Teller", "threads": 8}


@pytest.mark.asyncio(loop_scope="class")
class TestPlainGeneratorInOneThread(_Teller):
    options: ClassVar = {"import_path": f"{HERE}:Teller", "arguments": {"pause_s": 0}}


@pytest.mark.asyncio(loop_scope="class")
class TestAsyncGenerator(_Teller):
    options: ClassVar = {"import_path": f"{HERE}:AsyncTeller"}


@pytest.mark.asyncio(loop_scope="class")
class TestAnEngineOfOnesOwn(GenerationCompliance):
    kind = "python"
    options: ClassVar = {"import_path": f"{HERE}:OwnEngine", "arguments": {"pace_ms": 0.5}}
    offers = frozenset({"embed"})
    lacks: ClassVar = {
        "exact count": "the ingress cannot know how a class counts",
        "logprobs": "no model ran",
        "too long": "there is no context",
        "unicode": "a token is a word",
    }

    @asynccontextmanager
    async def failing(self, engine: Engine) -> AsyncIterator[GenerateRequest]:
        yield asking("!fail-after 5")

    async def break_down(self, engine: Engine) -> None:
        with pytest.raises(EngineBrokenError):
            await collected(engine, asking("!break"))


class _Letters(EmbeddingCompliance):
    kind, dimensions = "python", 26
    lacks: ClassVar = {
        "broken": "a class of nothing but embed cannot break",
        "dimensions": "the class does not take them",
        "tokens": "what a token is, only the class knows",
        "too long": "the class has no context",
    }

    def related(self) -> tuple[str, str, str]:
        return "water", "a wet area", "sluicing"


@pytest.mark.asyncio(loop_scope="class")
class TestPlainVectors(_Letters):
    options: ClassVar = {"import_path": f"{HERE}:Letters"}


@pytest.mark.asyncio(loop_scope="class")
class TestAsyncVectors(_Letters):
    options: ClassVar = {"import_path": f"{HERE}:AsyncLetters"}
    lacks: ClassVar = {what: why for what, why in _Letters.lacks.items() if what != "dimensions"}


def point(body: str) -> InferRequest:
    return InferRequest(body.encode(), "application/json")


class _Adder(InferCompliance):
    kind = "python"
    lacks: ClassVar = {"broken": "an adder without check_health cannot say that it broke"}

    def good(self) -> Sequence[InferRequest]:
        return [point(f'{{"x": {n}, "y": {n * n}, "label": "no. {n}"}}') for n in range(6)]

    def bad(self) -> Sequence[tuple[InferRequest, int, str]]:
        return [
            (point('{"x": 1'), 400, "not valid JSON"),
            (point(""), 400, "not valid JSON"),
            (point('{"x": 1}'), 422, "y is missing"),
            (point('{"x": true, "y": -1}'), 422, "y is wrong: Input should be greater than or equal to 0 (got -1)"),
            (point('{"x": "secret", "y": 1}'), 422, "x is wrong: Input should be a valid number, unable to parse"),
            (point('{"x": 1, "y": 1, "z": 1}'), 422, "z is not known: leave it out"),
            (point("[1]"), 422, "the body is wrong"),
            (InferRequest(b'{"x": 1, "y": 1}', "text/plain"), 400, "content-type: application/json"),
            (point('{"x": 1, "y": 1, "label": "rude"}'), 400, "Say it politely."),
        ]

    @asynccontextmanager
    async def failing(self, engine: Engine) -> AsyncIterator[InferRequest]:
        yield point('{"x": 1, "y": 1, "label": "!fail"}')


@pytest.mark.asyncio(loop_scope="class")
class TestPlainInference(_Adder):
    options: ClassVar = {"import_path": f"{HERE}:Adder"}


@pytest.mark.asyncio(loop_scope="class")
class TestAsyncInference(_Adder):
    options: ClassVar = {"import_path": f"{HERE}:AsyncAdder"}
