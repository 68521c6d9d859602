"""The suite for engines that turn texts into vectors."""

import asyncio
from collections.abc import Sequence
from math import fsum, sqrt
from typing import ClassVar

from deployments.models.engines.protocol import EmbedRequest, Engine
from deployments.tokenization.counting import most_of_text, words
from tests.deployments.models.engines.compliance.base import Compliance, refused, wait_until

Vector = Sequence[float]

TEXTS = (
    "The water flows through the gate.",
    "Water runs through this gate",
    "Invoices are due on the first of May.",
    "Größe: 5 µm, 水門 🌊",
    "a",
)


def cosine(one: Vector, other: Vector) -> float:
    """Of vectors of length 1."""
    return fsum(a * b for a, b in zip(one, other, strict=True))


def close(one: Vector, other: Vector, tolerance: float) -> bool:
    """Whether no number differs by more."""
    return len(one) == len(other) and all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


class EmbeddingCompliance(Compliance):
    """Order, length, sameness alone and in a batch, counts, dimensions, refusals, cancellation."""

    ABOUT = "embed"
    MAY_LACK = Compliance.MAY_LACK | {
        "cancellation",  # work that ends when nobody waits for it
        "dimensions",  # vectors shorter than the model's own
        "exact count",  # input tokens as `counting()` has them, where it is not a bound
        "meaning",  # related texts closer than others
        "tokens",  # inputs that are tokens
        "too long",  # inputs that the model cannot read
    }

    dimensions: ClassVar[int]
    """Length of the model's own vectors."""

    tolerance: ClassVar[float] = 1e-4
    """By how much a number may differ between a text alone and the same in a batch."""

    def related(self) -> tuple[str, str, str]:
        """Two texts that belong together, and one that does not."""
        return TEXTS[0], TEXTS[1], TEXTS[2]

    def token_input(self) -> tuple[int, ...]:
        """An input of tokens."""
        return (5, 6, 7)

    def too_long(self) -> str:
        """A text that the model cannot read whole."""
        raise NotImplementedError("a text that is too long, or say it in `lacks`")

    def exact_input_tokens(self, texts: Sequence[str]) -> int:
        """As the ingress counts them."""
        assert self.counting().by == "words", "say how the ingress counts the inputs of this engine"
        return words(texts)

    async def sample(self, engine: Engine) -> object:
        return await engine.embed(EmbedRequest(TEXTS))

    async def vectors(self, engine: Engine, *texts: str) -> tuple[Vector, ...]:
        """Of these texts."""
        return (await engine.embed(EmbedRequest(texts))).vectors

    async def idle(self, engine: Engine) -> None:
        await wait_until(lambda: self.running(engine) == 0, "requests still run that nobody waits for")

    async def test_one_vector_of_length_1_for_each_input(self, engine: Engine) -> None:
        embeddings = await engine.embed(EmbedRequest(TEXTS))
        assert len(embeddings.vectors) == len(TEXTS)
        for vector in embeddings.vectors:
            assert vector.typecode == "f"
            assert len(vector) == self.dimensions
            assert abs(sqrt(fsum(x * x for x in vector)) - 1) < 1e-3

    async def test_a_text_alone_and_in_a_batch_has_the_same_vector(self, engine: Engine) -> None:
        together = await self.vectors(engine, *TEXTS)
        for text, vector in zip(TEXTS, together, strict=True):
            (alone,) = await self.vectors(engine, text)
            assert close(alone, vector, self.tolerance), f"{text!r} differs in a batch"

    async def test_vectors_come_in_the_order_of_their_texts(self, engine: Engine) -> None:
        forwards, backwards = await self.vectors(engine, *TEXTS), await self.vectors(engine, *reversed(TEXTS))
        assert all(close(one, other, self.tolerance) for one, other in zip(forwards, reversed(backwards), strict=True))
        assert cosine(forwards[0], forwards[2]) < 0.9999, "different texts have different vectors"

    async def test_requests_at_once_are_answered_as_one_by_one(self, engine: Engine) -> None:
        texts = [(f"gate {n} " * (1 + n % 7), *TEXTS[: n % 3]) for n in range(2 * self.concurrency)]
        alone = [await self.vectors(engine, *each) for each in texts]
        together = await asyncio.gather(*(self.vectors(engine, *each) for each in texts))
        for one, other in zip(alone, together, strict=True):
            assert all(close(a, b, self.tolerance) for a, b in zip(one, other, strict=True))

    async def test_many_inputs_in_one_request(self, engine: Engine) -> None:
        texts = [f"the window number {n} slides" for n in range(100)]
        vectors = await self.vectors(engine, *texts)
        assert len(vectors) == 100
        (last,) = await self.vectors(engine, texts[-1])
        assert close(vectors[-1], last, self.tolerance)

    async def test_related_texts_are_closer(self, engine: Engine) -> None:
        self.need("meaning")
        one, related, other = await self.vectors(engine, *self.related())
        assert cosine(one, related) > cosine(one, other)

    async def test_tokens_are_counted(self, engine: Engine) -> None:
        one = (await engine.embed(EmbedRequest(TEXTS[:1]))).input_tokens
        twice = (await engine.embed(EmbedRequest(TEXTS[:1] * 2))).input_tokens
        assert one > 0
        assert twice == 2 * one
        counted = (await engine.embed(EmbedRequest(TEXTS))).input_tokens
        if self.counting().by == "bytes":  # a bound, of which the engine may use less
            assert counted <= sum(map(most_of_text, TEXTS)) + 8 * len(TEXTS)
        elif self.has("exact count"):
            assert counted == self.exact_input_tokens(TEXTS)

    async def test_inputs_of_tokens(self, engine: Engine) -> None:
        request = EmbedRequest((self.token_input(), self.token_input()))
        if not self.has("tokens"):
            with refused():
                await engine.embed(request)
            return
        embeddings = await engine.embed(request)
        assert close(*embeddings.vectors, self.tolerance)
        assert embeddings.input_tokens >= 2 * len(self.token_input())

    async def test_fewer_dimensions(self, engine: Engine) -> None:
        fewer = self.dimensions // 2
        if not self.has("dimensions"):
            with refused("unsupported_parameter", param="dimensions"):
                await engine.embed(EmbedRequest(TEXTS, fewer))
            return
        for vector in (await engine.embed(EmbedRequest(TEXTS, fewer))).vectors:
            assert len(vector) == fewer
            assert abs(sqrt(fsum(x * x for x in vector)) - 1) < 1e-3
        own = (await engine.embed(EmbedRequest(TEXTS, self.dimensions))).vectors
        assert all(close(a, b, self.tolerance) for a, b in zip(own, await self.vectors(engine, *TEXTS), strict=True))

    async def test_more_dimensions_than_the_model_has_are_refused(self, engine: Engine) -> None:
        with refused(param="dimensions"):
            await engine.embed(EmbedRequest(TEXTS, self.dimensions + 1))

    async def test_an_input_that_is_too_long_is_refused(self, engine: Engine) -> None:
        self.need("too long")
        with refused():
            await engine.embed(EmbedRequest((TEXTS[0], self.too_long())))
        await self.idle(engine)
        assert len(await self.vectors(engine, TEXTS[0])) == 1

    async def test_nothing_runs_for_those_who_went(self, engine: Engine) -> None:
        self.need("cancellation")
        before = await self.vectors(engine, *TEXTS)
        for pause_s in (0.0, 0.005):
            tasks = [asyncio.create_task(self.vectors(engine, *TEXTS * 5)) for _ in range(self.concurrency)]
            await asyncio.sleep(pause_s)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=5)
            assert all(task.done() for task in tasks)
            await self.idle(engine)
        after = await self.vectors(engine, *TEXTS)
        assert all(close(a, b, self.tolerance) for a, b in zip(before, after, strict=True))
