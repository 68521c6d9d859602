"""What all suites have in common: how an engine is made, what it may lack, health, its end. Without pytest."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, ClassVar, cast
from unittest import SkipTest

from deployments.models.engines.protocol import (
    Chunk,
    EmbedRequest,
    Engine,
    EngineBrokenError,
    GenerateRequest,
    InferRequest,
    RequestRefusedError,
)
from deployments.models.engines.registry import check_options, make_engine
from deployments.tokenization.counting import Counting

SOON_S = 5.0
"""The protocol says within a second; a machine that other tests share may be slower by some."""


async def collected(engine: Engine, request: GenerateRequest) -> list[Chunk]:
    """All chunks of a reply, the generator closed as a replica closes it."""
    async with aclosing(cast(Any, engine.generate(request))) as chunks:
        return [chunk async for chunk in chunks]


def text(chunks: Sequence[Chunk]) -> str:
    """The reply."""
    return "".join(chunk.text for chunk in chunks)


async def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Fails where that does not come soon."""
    give_up = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < give_up, f"after {SOON_S:g} s: {what}"
        await asyncio.sleep(0.005)


@contextmanager
def refused(
    code: str | None = None, *, param: str | None = None, status: int | None = None, said: str = ""
) -> Iterator[None]:
    """Expects a `RequestRefusedError` with something to tell the client."""
    found: RequestRefusedError | None = None
    try:
        yield
    except RequestRefusedError as error:
        found = error
    assert found is not None, f"not refused; expected {code or 'a refusal'}"
    assert str(found), "a refusal says why"
    assert 400 <= found.status < 500, f"a refusal is the client's to mend, but its status is {found.status}"
    assert status is None or found.status == status, f"refused with {found.status}, not {status}: {found}"
    assert said in str(found), f"refused, but not because of {said}: {found}"
    assert code is None or found.code == code, f"refused as {found.code}, not as {code}"
    assert param is None or found.param == param, f"the field at fault is {param}, not {found.param}"


class Compliance:
    """Base of the suites."""

    kind: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    """As in the configuration."""

    lacks: ClassVar[Mapping[str, str]] = {}
    """What this engine does not have, and why. The suites say what there is: `MAY_LACK`."""

    offers: ClassVar[frozenset[str]] = frozenset()
    """Which of `generate`, `embed` and `infer` it has beside what the suite is about."""

    MAY_LACK: ClassVar[frozenset[str]] = frozenset({"broken"})
    """`broken`: a way to make the engine break on purpose."""

    ABOUT: ClassVar[str]
    """The operation that the suite is about."""

    concurrency: ClassVar[int] = 8
    """How many requests make a full load."""

    def make(self) -> Engine:
        """A new engine, not yet loaded."""
        return make_engine(self.kind, self.options)

    def running(self, engine: Engine) -> int:
        """How many requests the engine is at work on: what it counts itself, in an attribute of this name."""
        return int(cast(Any, engine).running)

    async def sample(self, engine: Engine) -> object:
        """Any request, done; raises what the engine raises."""
        raise NotImplementedError

    async def break_down(self, engine: Engine) -> None:
        """Makes the engine unable to serve anything any more."""
        raise NotImplementedError("break the engine, or say in `lacks` why nothing can")

    def counting(self) -> Counting:
        """How the ingress counts this model's prompts."""
        return check_options(self.kind, self.options).counting()

    def has(self, capability: str) -> bool:
        """Whether the engine has it."""
        assert capability in self.MAY_LACK, f"there is no capability {capability}"
        return capability not in self.lacks

    def need(self, capability: str) -> None:
        """Ends the test where the engine lacks what it is about."""
        if not self.has(capability):
            raise SkipTest(f"{capability}: {self.lacks[capability]}")

    async def test_what_it_lacks_is_known_to_the_suite(self) -> None:
        unknown = set(self.lacks) - self.MAY_LACK
        assert not unknown, f"the suite asks for no {unknown}; it knows {sorted(self.MAY_LACK)}"

    async def test_it_is_healthy_after_loading(self, engine: Engine) -> None:
        await engine.check_health()

    async def test_operations_that_it_does_not_offer_are_refused(self, engine: Engine) -> None:
        offered = {*self.offers, self.ABOUT}
        if "generate" not in offered:
            with refused("unsupported_operation"):
                await collected(engine, GenerateRequest(({"role": "user", "content": "Hello"},), max_tokens=1))
        if "embed" not in offered:
            with refused("unsupported_operation"):
                await engine.embed(EmbedRequest(("Hello",)))
        if "infer" not in offered:
            with refused("unsupported_operation"):
                await engine.infer(InferRequest(b"{}", "application/json"))

    async def test_after_its_end_nothing_of_it_runs(self) -> None:
        tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
        engine = self.make()
        await engine.load()
        await self.sample(engine)
        await engine.close()
        await wait_until(lambda: asyncio.all_tasks() <= tasks, "tasks of a closed engine still run")
        # The loop's own pool keeps its threads for whoever comes next.
        left = [t for t in threading.enumerate() if t not in threads and not t.name.startswith("asyncio_")]
        await wait_until(lambda: not any(t.is_alive() for t in left), f"threads of a closed engine still run: {left}")

    async def test_one_that_was_never_loaded_can_be_closed(self) -> None:
        await self.make().close()

    async def test_when_nothing_can_succeed_any_more_its_health_says_so(self) -> None:
        self.need("broken")
        engine = self.make()
        await engine.load()
        await self.break_down(engine)
        for attempt in (engine.check_health, lambda: self.sample(engine)):
            try:
                await attempt()
            except EngineBrokenError:
                continue
            raise AssertionError("a broken engine went on")
        await engine.close()
