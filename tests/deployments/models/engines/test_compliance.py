"""The suite itself: engines with one fault each, and the test that finds it."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import count
from typing import Any, cast

import pytest

from deployments.models.engines.protocol import (
    Chunk,
    Embeddings,
    EmbedRequest,
    Engine,
    GenerateRequest,
    InferRequest,
    RequestRefusedError,
    Usage,
)
from deployments.models.engines.simulated import SimulatedEngine, SimulatedOptions
from tests.deployments.models.engines import test_simulated
from tests.deployments.models.engines.compliance import Compliance, InferCompliance, base
from tests.deployments.models.engines.compliance.__main__ import outcome_of

OPTIONS = SimulatedOptions(first_token_ms=0.5, inter_token_ms=0.2, reply_tokens=200, failures=True)


class Sound(SimulatedEngine):
    """Without a fault."""

    def __init__(self) -> None:
        super().__init__(OPTIONS)

    def chunks(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        return SimulatedEngine.generate(self, request)


def every_chunk(change: Callable[[Chunk], Chunk]) -> type[Sound]:
    class Changed(Sound):
        async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
            async for chunk in self.chunks(request):
                yield change(chunk)

    return Changed


def every_request(change: Callable[[GenerateRequest], GenerateRequest]) -> type[Sound]:
    class Changed(Sound):
        async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
            async for chunk in self.chunks(change(request)):
                yield chunk

    return Changed


class LeaksStops(Sound):
    """Looks for stop texts in what has left already."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        said = ""
        async for chunk in self.chunks(replace(request, stop=())):
            said += chunk.text
            if any(stop in said for stop in request.stop):
                yield Chunk("", "stop", Usage(1, len(said.split())))
                return
            yield chunk


class RunsOn(Sound):
    """Generates in a task that nobody ends."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        ready: asyncio.Queue[Chunk | Exception] = asyncio.Queue()

        async def work() -> None:
            try:
                async for chunk in self.chunks(request):
                    ready.put_nowait(chunk)
                    await asyncio.sleep(0.01)
            except RequestRefusedError as error:
                ready.put_nowait(error)

        self.task = asyncio.create_task(work())  # the last of them: the end of a test ends all that are left
        while True:
            item = await ready.get()
            if isinstance(item, Exception):
                raise item
            yield item
            if item.usage is not None:
                return


class OthersMatter(Sound):
    """What else runs changes a reply."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        async for chunk in self.chunks(request):
            yield replace(chunk, text=chunk.text.upper()) if self.running > 2 else chunk


class FailsTogether(Sound):
    """One that fails takes the others with it."""

    failed = False

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        try:
            async for chunk in self.chunks(request):
                yield chunk if not self.failed else replace(chunk, text="")
        except Exception:
            self.failed = True
            raise


class LeavesTasks(Sound):
    """Forgets what it began."""

    async def load(self) -> None:
        self.task = asyncio.create_task(asyncio.sleep(60))


class SaysItIsWell(Sound):
    """Whatever happens."""

    async def check_health(self) -> None:
        pass


class RefusesLate(Sound):
    """After the first chunk, and without the parameter's name."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        yield Chunk("")
        if request.extra or request.logprobs is not None:
            raise RequestRefusedError("unsupported_parameter", "No.")
        async for chunk in self.chunks(request):
            yield chunk


numbers = count()
FAULTS = [
    (every_chunk(lambda c: replace(c, usage=Usage(1, 1))), "test_only_the_last_chunk_has_a_reason_and_the_usage"),
    (every_chunk(lambda c: replace(c, finish_reason="stop")), "test_only_the_last_chunk_has_a_reason_and_the_usage"),
    (every_chunk(lambda c: replace(c, text="\ufffd")), "test_stop_texts_are_no_part_of_the_reply"),
    (every_chunk(lambda c: replace(c, usage=c.usage and Usage(0, 1))), "test_equal_prompts_have_equal_counts"),
    (every_chunk(lambda c: replace(c, usage=c.usage and Usage(99, 1))), "test_prompts_are_counted_as_the_ingress"),
    (every_chunk(lambda c: replace(c, text=f"{c.text}{next(numbers)}")), "test_greedy_replies_are_the_same_again"),
    (every_chunk(lambda c: replace(c, logprobs=(cast(Any, None),))), "test_log_probabilities_only_where_asked_for"),
    (every_request(lambda r: replace(r, max_tokens=r.max_tokens + 1)), "test_max_tokens_is_kept_and_said"),
    (every_request(lambda r: replace(r, stop=())), "test_stop_texts_are_no_part_of_the_reply"),
    (every_request(lambda r: replace(r, stop=r.stop[-1:])), "test_the_earliest_of_several_stop_texts_ends_it"),
    (every_request(lambda r: replace(r, seed=None)), "test_equal_seeds_have_equal_replies"),
    (every_request(lambda r: replace(r, logprobs=None)), "test_log_probabilities_of_every_generated_token"),
    (every_request(lambda r: replace(r, extra={})), "test_parameters_are_honoured_or_refused_by_name"),
    (every_request(lambda r: replace(r, prompt="same")), "test_replies_at_once_are_those_one_by_one"),
    (RefusesLate, "test_parameters_are_honoured_or_refused_by_name"),
    (LeaksStops, "test_a_stop_text_across_the_borders_of_chunks"),
    (LeaksStops, "test_a_reply_may_begin_with_a_stop_text"),
    (RunsOn, "test_a_closed_iterator_ends_the_generation"),
    (RunsOn, "test_cancelled_tasks_end_their_generations"),
    (OthersMatter, "test_replies_at_once_are_those_one_by_one"),
    (OthersMatter, "test_one_that_goes_leaves_the_others_alone"),
    (FailsTogether, "test_a_failure_in_mid_stream_is_of_that_request_alone"),
    (LeavesTasks, "test_after_its_end_nothing_of_it_runs"),
    (SaysItIsWell, "test_when_nothing_can_succeed_any_more_its_health_says_so"),
]


async def outcome(suite: type[Compliance], made: type[Engine], test: str) -> str:
    (name,) = [each for each in dir(suite) if each.startswith(test)]
    own = type(suite.__name__, (suite,), {"make": lambda self: made()})()
    engine = own.make()
    await engine.load()
    found, said = await outcome_of(own, name, engine)
    await engine.close()
    task = getattr(engine, "task", None)
    if task is not None:
        task.cancel()
    for each in asyncio.all_tasks() - {cast("asyncio.Task[Any]", asyncio.current_task())}:
        each.cancel()
    return found if found == "FAILED" else f"{found}{said}"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "SOON_S", 0.3)


@pytest.mark.parametrize(("made", "test"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
async def test_a_fault_in_generation_is_found(made: type[Engine], test: str) -> None:
    assert await outcome(test_simulated.TestGeneration, Sound, test) == "passed", "without the fault it passes"
    assert await outcome(test_simulated.TestGeneration, made, test) == "FAILED"


def changed_vectors(change: Callable[[Embeddings, EmbedRequest], Embeddings]) -> type[Sound]:
    class Changed(Sound):
        async def embed(self, request: EmbedRequest) -> Embeddings:
            return change(await super().embed(request), request)

    return Changed


def doubled(vector: "array[float]") -> "array[float]":
    return array("f", (2 * x for x in vector))


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (changed_vectors(lambda e, _: replace(e, vectors=e.vectors[1:])), "test_one_vector_of_length_1"),
        (
            changed_vectors(lambda e, _: replace(e, vectors=tuple(map(doubled, e.vectors)))),
            "test_one_vector_of_length_1",
        ),
        (changed_vectors(lambda e, _: replace(e, vectors=e.vectors[::-1])), "test_a_text_alone_and_in_a_batch"),
        (
            changed_vectors(lambda e, _: replace(e, vectors=e.vectors[:1] * len(e.vectors))),
            "test_vectors_come_in_the_or",
        ),
        (changed_vectors(lambda e, _: replace(e, vectors=e.vectors[:1] * len(e.vectors))), "test_related_texts_are"),
        (changed_vectors(lambda e, _: replace(e, input_tokens=3)), "test_tokens_are_counted"),
        (changed_vectors(lambda e, r: replace(e, vectors=tuple(v[:5] for v in e.vectors))), "test_fewer_dimensions"),
    ],
)
async def test_a_fault_in_embedding_is_found(made: type[Engine], test: str) -> None:
    assert await outcome(test_simulated.TestEmbedding, Sound, test) == "passed"
    assert await outcome(test_simulated.TestEmbedding, made, test) == "FAILED"


class Echo(Engine):
    """Replies what it is sent."""

    running = 0

    async def infer(self, request: InferRequest) -> bytes:
        if request.body == b"bad":
            raise RequestRefusedError("bad", "It is bad.", status=422)
        await asyncio.sleep(0.001)
        return request.body


class Mixed(Echo):
    """Confuses requests that run at once."""

    async def infer(self, request: InferRequest) -> bytes:
        self.last = request.body
        reply = await super().infer(request)
        return self.last if reply != b"bad" else reply


class TakesAnything(Echo):
    """Without a schema."""

    async def infer(self, request: InferRequest) -> bytes:
        return request.body


class EchoSuite(InferCompliance):
    kind = "simulated"

    def good(self) -> list[InferRequest]:
        return [InferRequest(body, "application/json") for body in (b"1", b"2", b"3")]

    def bad(self) -> list[tuple[InferRequest, int, str]]:
        return [(InferRequest(b"bad", "application/json"), 422, "It is bad.")]


@pytest.mark.parametrize(
    ("made", "test"),
    [
        (Mixed, "test_requests_at_once_are"),
        (TakesAnything, "test_requests_that_do_not_fit"),
        (Sound, "test_each_request"),
    ],
)
async def test_a_fault_in_inference_is_found(made: type[Engine], test: str) -> None:
    assert await outcome(EchoSuite, Echo, test) == "passed"
    assert await outcome(EchoSuite, made, test) == "FAILED"


async def test_a_capability_that_no_suite_knows_is_a_mistake() -> None:
    class Mistaken(EchoSuite):
        lacks = {"speed": "slow"}  # noqa: RUF012

    assert await outcome(Mistaken, Echo, "test_what_it_lacks_is_known") == "FAILED"
