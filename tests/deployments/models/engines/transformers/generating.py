"""What tests of text generation ask, and how they ask it: of the engine, and of the library itself."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

from deployments.models.engines.protocol import (
    Chunk,
    Engine,
    GenerateRequest,
    TokenLogprob,
)
from deployments.models.engines.registry import make_engine

TEXTS = tuple("the water flows through the gate " * (1 + number % 5) + "one two"[: number % 8] for number in range(8))
UNICODE = "水🌊é!"
TOKENS = 40
TIMEOUT_S = 30


async def chunks(engine: Engine, prompt: Any = TEXTS[0], delay_s: float = 0, **fields: Any) -> list[Chunk]:
    await asyncio.sleep(delay_s)
    request = GenerateRequest(prompt, **{"max_tokens": TOKENS, "temperature": 0.0, **fields})
    async with asyncio.timeout(TIMEOUT_S), aclosing(cast(Any, engine.generate(request))) as came:
        return [chunk async for chunk in came]


def text(came: Sequence[Chunk]) -> str:
    return "".join(chunk.text for chunk in came)


def told(came: Sequence[Chunk]) -> list[TokenLogprob]:
    return [each for chunk in came for each in chunk.logprobs]


async def reply(engine: Engine, prompt: Any = TEXTS[0], **fields: Any) -> str:
    return text(await chunks(engine, prompt, **fields))


class Direct:
    """The library itself."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()

    def tokens(self, prompt: str, count: int = TOKENS) -> list[int]:
        import torch

        ids = self.tokenizer(prompt, return_tensors="pt")
        made = self.model.generate(**ids, max_new_tokens=count, do_sample=False)
        return cast("list[int]", made[0, ids["input_ids"].shape[1] :].to(torch.long).tolist())

    def reply(self, prompt: str, count: int = TOKENS) -> str:
        return cast(str, self.tokenizer.decode(self.tokens(prompt, count), skip_special_tokens=True))


async def started(folder: Path, **options: Any) -> Engine:
    engine = make_engine("transformers", {"model": str(folder), "device": "cpu", **options})
    await engine.load()
    return engine
