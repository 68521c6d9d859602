"""The suite that every engine passes, on vLLM. It runs in a process of its own (`test_compliance.py`), without pytest:

python -m tests.deployments.models.engines.compliance tests.vllm.compliance:TinyModel
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from deployments.models.engines.protocol import Engine, GenerateRequest, Prompt
from deployments.tokenization.tokenizer import Tokenizer
from tests.deployments.models.engines.compliance import GenerationCompliance, collected
from tests.deployments.models.engines.compliance.base import text
from tests.deployments.models.engines.compliance.generation import EXTRAS
from tests.vllm.tiny import CONTEXT, options

MODEL = "SLUICE_TEST_MODEL"
"""The environment's variable with the model's directory."""


class TinyModel(GenerationCompliance):
    kind = "vllm"
    options: ClassVar[Mapping[str, Any]] = options(Path(os.environ.get(MODEL, "model")))
    lengthy_tokens = CONTEXT // 2
    supported_extras = frozenset(EXTRAS)
    lacks: ClassVar = {
        "batch invariance": "vLLM adds in another order where other requests run beside",
        "broken": "tests/vllm/test_chain.py kills vLLM's process",
        "failures": "vLLM has no way to make one request fail",
        "unicode": "the model's weights are random",
    }

    async def test_greedy_replies_are_the_same_again(self, engine: Engine) -> None:
        """Where one chunk ends and the next begins is a matter of pace: vLLM sends what came since it last did."""
        first, again = [await collected(engine, self.greedy()) for _ in range(2)]
        assert text(first) == text(again)
        assert first[-1].usage == again[-1].usage

    def running(self, engine: Engine) -> int:
        return len(engine._server._client.output_processor.request_states)  # type: ignore[attr-defined]

    def exact_input_tokens(self, prompt: Prompt) -> int:
        return len(Tokenizer.load(self.counting().source).encode_chat(prompt))  # type: ignore[arg-type]

    def too_long(self) -> GenerateRequest:
        return GenerateRequest(({"role": "user", "content": "word " * CONTEXT},), max_tokens=4)
