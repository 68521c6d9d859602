"""The suite that every engine passes: text from a tiny model."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deployments.models.engines.protocol import Engine, EngineBrokenError, GenerateRequest, Prompt
from deployments.tokenization.tokenizer import Tokenizer
from tests.deployments.models.engines.compliance import GenerationCompliance, collected

MARKED = 99
"""`max_tokens` of the request that is made to fail."""


@pytest.mark.asyncio(loop_scope="class")
class TestTinyModel(GenerationCompliance):
    kind = "transformers"
    lacks: ClassVar = {"unicode": "its weights are random; another model says such characters (test_generation.py)"}

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _model(cls, tiny_model: Path) -> None:
        cls.options = {"model": str(tiny_model)}

    def exact_input_tokens(self, prompt: Prompt) -> int:
        return len(Tokenizer.load(self.counting().source).encode_chat(prompt))  # type: ignore[arg-type]

    def too_long(self) -> GenerateRequest:
        return self.greedy_of("word " * 1_000)

    def greedy_of(self, content: str, **fields: Any) -> GenerateRequest:
        return GenerateRequest(({"role": "user", "content": content},), **{"max_tokens": 4, "temperature": 0, **fields})

    @asynccontextmanager
    async def failing(self, engine: Engine) -> AsyncIterator[GenerateRequest]:
        batcher = engine._batcher  # type: ignore[attr-defined]
        forward = batcher._model.forward

        def fails(first: int, tokens: Sequence[Sequence[int]], starts: Sequence[int]) -> Any:
            rows = batcher._rows[first : first + len(tokens)]
            if any(row.max_tokens == MARKED and row.said > 3 for row in rows):
                raise RuntimeError("a made-up failure")
            return forward(first, tokens, starts)

        batcher._model.forward = fails
        yield self.greedy(0, max_tokens=MARKED)
        batcher._model.forward = forward

    async def break_down(self, engine: Engine) -> None:
        def lost(*_: Any) -> None:
            raise RuntimeError("the device is gone")

        model = engine._batcher._model  # type: ignore[attr-defined]
        model.forward = model.plain = lost
        with pytest.raises(EngineBrokenError):
            await collected(engine, self.greedy())
