import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from deployments.models.engines import simulated
from deployments.models.engines.protocol import (
    Chunk,
    EmbedRequest,
    Engine,
    EngineBrokenError,
    EngineFailureError,
    EngineOptionsError,
    GenerateRequest,
)
from deployments.models.engines.registry import make_engine
from deployments.models.engines.simulated import SimulatedEngine, SimulatedOptions
from tests.deployments.models.engines.compliance import EmbeddingCompliance, GenerationCompliance, collected

WORDS_OF_SEED_7 = "This reply is simulated: no model ran. each keeps water slides while"
QUICK = {"first_token_ms": 1, "inter_token_ms": 0.5, "reply_tokens": 200, "failures": True}


def asking(content: str, **fields: Any) -> GenerateRequest:
    return GenerateRequest(({"role": "user", "content": content},), **{"max_tokens": 100, **fields})


@pytest.mark.asyncio(loop_scope="class")
class TestGeneration(GenerationCompliance):
    kind, options, offers = "simulated", QUICK, frozenset({"embed"})
    lacks: ClassVar = {
        "logprobs": "no model ran, so nothing has a probability",
        "too long": "there is no context to be too long for",
        "unicode": "a token is a word",
    }

    @asynccontextmanager
    async def failing(self, engine: Engine) -> AsyncIterator[GenerateRequest]:
        yield asking("!fail-after 5")

    async def break_down(self, engine: Engine) -> None:
        with pytest.raises(EngineBrokenError):
            await collected(engine, asking("!break"))


@pytest.mark.asyncio(loop_scope="class")
class TestEmbedding(EmbeddingCompliance):
    kind, options, offers = "simulated", QUICK, frozenset({"generate"})
    dimensions = 64
    lacks: ClassVar = {"too long": "there is no context to be too long for"}

    async def break_down(self, engine: Engine) -> None:
        with pytest.raises(EngineBrokenError):
            await engine.embed(EmbedRequest(("!break",)))


def engine(**options: Any) -> SimulatedEngine:
    return SimulatedEngine(
        SimulatedOptions(**{"first_token_ms": 0, "inter_token_ms": 0, "reply_tokens": 10, **options})
    )


async def reply(engine: SimulatedEngine, content: str = "one two three", **fields: Any) -> list[Chunk]:
    return await collected(engine, asking(content, **fields))


def said(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def test_it_says_that_it_is_simulated() -> None:
    assert said(await reply(engine())).startswith("This reply is simulated: no model ran.")


async def test_replies_are_as_long_as_configured() -> None:
    chunks = await reply(engine())
    assert (len(chunks), chunks[-1].finish_reason) == (10, "stop")


async def test_seeds_and_prompts_choose_the_words() -> None:
    made = engine(reply_tokens=30)
    assert said(await reply(made, seed=7)) == said(await reply(engine(reply_tokens=30), seed=7))
    assert said(await reply(made, seed=7)) != said(await reply(made, seed=8))
    assert said(await reply(made, "one", seed=7)) != said(await reply(made, "two", seed=7))


async def test_the_words_of_a_seed_stay_the_same() -> None:
    # Clients' tests and recorded benchmarks rely on them.
    assert said(await reply(engine(reply_tokens=12), "What is a sluice?", seed=7)) == WORDS_OF_SEED_7


async def test_a_stop_text_of_several_words_never_shows_its_beginning() -> None:
    chunks = await reply(engine(), stop=("is simulated: no gate", "simulated: no model"))
    assert said(chunks) == "This reply is "
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.output_tokens == 6  # all that were generated, the ones that ended it included


class Clock:
    """In the place of `asyncio.sleep`: what the engine waited for, in milliseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waited: list[float] = []
        self._sleep = asyncio.sleep
        monkeypatch.setattr("deployments.models.engines.simulated.asyncio.sleep", self)

    async def __call__(self, delay_s: float) -> None:
        self.waited.append(round(delay_s * 1000, 6))
        await self._sleep(0)


async def test_the_first_token_waits_for_each_token_of_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    await reply(engine(first_token_ms=50, prompt_token_ms=2, inter_token_ms=10, reply_tokens=3), "a b c d")
    assert clock.waited == [58, 10, 10]


async def test_each_further_reply_slows_every_token(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    made = engine(inter_token_ms=10, batch_slowdown=0.25, reply_tokens=50)
    growing = [made.generate(asking(str(n))) for n in range(3)]
    for chunks in growing:
        await anext(chunks)  # its first token: from now on it grows
    clock.waited.clear()
    for chunks in growing:
        await anext(chunks)
    assert clock.waited == [15, 15, 15]  # 10 ms * (1 + 0.25 * 2)
    for chunks in growing[1:]:
        await chunks.aclose()
    clock.waited.clear()
    await anext(growing[0])
    assert clock.waited == [10]
    await growing[0].aclose()


async def test_the_pace_is_real() -> None:
    started = time.monotonic()
    await reply(engine(first_token_ms=50, inter_token_ms=10))
    assert time.monotonic() - started >= 0.14


@pytest.mark.parametrize(
    ("content", "tokens"),
    [("please !fail", 0), ("!fail-after 3", 3), ("!fail-after 0 now", 0), ("!fail-after 900", 9)],
)
async def test_failures_on_request(content: str, tokens: int) -> None:
    chunks: list[Chunk] = []

    async def follow() -> None:
        async for chunk in engine(failures=True).generate(asking(content)):
            chunks.append(chunk)

    with pytest.raises(EngineFailureError, match="simulated failure"):
        await follow()
    assert len(chunks) == tokens
    assert all(chunk.usage is None for chunk in chunks)


async def test_hanging_on_request_until_the_client_goes() -> None:
    made = engine(failures=True)
    task = asyncio.create_task(reply(made, "!hang"))
    done, _ = await asyncio.wait([task], timeout=0.05)
    assert not done
    assert made.running == 1
    task.cancel()
    await asyncio.wait([task])
    assert made.running == 0


@pytest.mark.parametrize("content", ["!fail", "!fail-after 3", "!break", "!hang"])
async def test_no_failures_unless_the_options_allow_them(content: str) -> None:
    assert len(await reply(engine(), content)) == 10


async def test_only_the_last_message_asks_for_failures() -> None:
    conversation = ({"role": "user", "content": "!fail"}, {"role": "user", "content": "go on, and don't!fail"})
    assert await collected(engine(failures=True), GenerateRequest(conversation, max_tokens=2))


async def failures_of(made: SimulatedEngine) -> list[int | None]:
    """After how many tokens each of many requests failed."""
    found: list[int | None] = []
    for _ in range(200):
        came = 0
        try:
            async for _chunk in made.generate(asking("hello")):
                came += 1
        except EngineFailureError:
            found.append(came)
        else:
            found.append(None)
    return found


async def test_random_failures_are_those_of_their_seed() -> None:
    found = await failures_of(engine(failure_rate=0.25, failure_seed=3))
    assert found == await failures_of(engine(failure_rate=0.25, failure_seed=3))
    assert found != await failures_of(engine(failure_rate=0.25, failure_seed=4))
    failed = [came for came in found if came is not None]
    assert 30 < len(failed) < 70  # a quarter of 200; the seed makes it the same number always
    assert {0, 9} <= set(failed), "before the first token and after the last but one, and all between"


async def test_failures_of_embeddings_on_request() -> None:
    with pytest.raises(EngineFailureError):
        await engine(failures=True).embed(EmbedRequest(("fine", "!fail")))


async def test_words_in_common_bring_vectors_closer() -> None:
    vectors = (await engine().embed(EmbedRequest(("red green blue", "Green, red!", "red", "yellow")))).vectors
    nearness = [sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:]]
    assert nearness[0] > nearness[1] > nearness[2]


@pytest.mark.parametrize(
    "options", [{"first_tokn_ms": 1}, {"first_token_ms": -1}, {"reply_tokens": "many"}, {"failure_rate": 2}]
)
def test_wrong_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(EngineOptionsError, match=next(iter(options))):
        make_engine("simulated", options)


async def test_long_texts_are_embedded_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, vectors = set(), simulated._vectors

    def watched(*args: Any) -> Any:
        threads.add(threading.get_ident())
        return vectors(*args)

    monkeypatch.setattr(simulated, "_vectors", watched)
    made = SimulatedEngine(SimulatedOptions(first_token_ms=0, embedding_dimensions=8))
    short = await made.embed(EmbedRequest(("water gate",)))
    assert threads == {threading.get_ident()}
    long = await made.embed(EmbedRequest(("water gate " * 10_000,)))
    assert len(threads) == 2
    assert list(long.vectors[0]) == pytest.approx(list(short.vectors[0])), "the same words, as often each"
