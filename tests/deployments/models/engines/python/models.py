"""Classes as users write them, for the tests of `kind: python`."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from deployments.models import EngineBrokenError, RequestRefusedError
from deployments.models.engines.simulated import SimulatedEngine, SimulatedOptions

STORY = "水門 opens, Größe 5 µm 🌊 "


def pieces(prompt: str, temperature: float | None, seed: int | None) -> Iterator[str]:
    """A long story, in pieces that are no words."""
    chance = random.Random(f"{prompt}{seed if temperature else None}")
    text = STORY if "水" in prompt else ""
    while True:
        text += chance.choice(["gate ", "water ", "flo", "ws ", "log\n", "s ", ", "])
        cut = chance.randrange(1, 4)
        yield text[:cut]
        text = text[cut:]
        if "!fail" in prompt and chance.random() < 0.3:
            raise ValueError("the secret of the user's code")


class Teller:
    """Plain methods."""

    def __init__(self, pause_s: float = 0.0005) -> None:
        self.pause_s, self.broken = pause_s, False

    def must_work(self) -> None:
        if self.broken:
            raise EngineBrokenError("the teller is broken")

    def check_health(self) -> None:
        self.must_work()

    def generate(
        self,
        messages: list[dict[str, str]] | None = None,
        prompt: str = "",
        temperature: float | None = None,
        seed: int | None = None,
        top_p: float | None = None,
    ) -> Iterator[str]:
        self.must_work()
        said = messages[-1]["content"] if messages else prompt
        if "!break" in said:
            self.broken = True
            self.must_work()
        for piece in pieces(said, temperature, seed):
            time.sleep(self.pause_s)
            yield piece


class AsyncTeller(Teller):
    """The same with async ones."""

    async def check_health(self) -> None:  # type: ignore[override]
        self.must_work()

    async def generate(  # type: ignore[override]
        self,
        messages: list[dict[str, str]] | None = None,
        prompt: str = "",
        temperature: float | None = None,
        seed: int | None = None,
        top_p: float | None = None,
    ) -> AsyncIterator[str]:
        for piece in super().generate(messages, prompt, temperature, seed):
            await asyncio.sleep(0)
            yield piece


class OwnEngine(SimulatedEngine):
    """An engine of the user's own, by way of a subclass."""

    def __init__(self, pace_ms: float) -> None:
        super().__init__(SimulatedOptions(first_token_ms=1, inter_token_ms=pace_ms, reply_tokens=200, failures=True))


class Letters:
    """Vectors of letters."""

    dimensions = 26

    def embed(self, texts: list[str]) -> list[list[float]]:
        return [[text.lower().count(chr(ord("a") + n)) + 0.01 for n in range(self.dimensions)] for text in texts]


class AsyncLetters(Letters):
    """The same, and shorter where asked for."""

    async def embed(self, texts: list[str], dimensions: int | None = None) -> list[list[float]]:  # type: ignore[override]
        await asyncio.sleep(0.001)
        if dimensions is not None and dimensions > self.dimensions:
            raise RequestRefusedError("invalid_value", "There are 26 letters.", param="dimensions")
        return [vector[:dimensions] for vector in super().embed(texts)]


class Talker(AsyncTeller, AsyncLetters):
    """Several operations in one class."""


class Point(BaseModel):
    """What `Adder` takes."""

    model_config = ConfigDict(extra="forbid")
    x: float
    y: float = Field(ge=0)
    label: str = ""


class Sum(BaseModel):
    """What it replies."""

    total: float
    label: str


class Adder:
    """Plain, with pydantic models."""

    pause_s = 0.002

    def infer(self, request: Point) -> Sum:
        if request.label == "!fail":
            raise ValueError("the secret of the user's code")
        if request.label == "!break":
            raise EngineBrokenError("beyond help")
        if request.label == "rude":
            raise RequestRefusedError("rude_label", "Say it politely.", param="label")
        time.sleep(self.pause_s)
        return Sum(total=request.x + request.y, label=request.label)


class AsyncAdder(Adder):
    """The same, async."""

    async def infer(self, request: Point) -> Sum:  # type: ignore[override]
        await asyncio.sleep(self.pause_s)
        return super().infer(request)


@dataclass
class Pair:
    """A dataclass as a request."""

    left: int
    right: int


class Dataclasses:
    def infer(self, request: Pair) -> Pair:
        return Pair(request.right, request.left)


class Anything:
    def infer(self, request):  # type: ignore[no-untyped-def]
        return {"got": request}


class Raw:
    async def infer(self, request: bytes, content_type: str) -> dict[str, Any]:
        return {"bytes": len(request), "type": content_type}
