"""What a model replica does: calls in, one engine, replies out. Without Ray; the deployment is `…models.deployment`.

What travels is plain dictionaries in (the shape of OpenAI's request, already validated
by the ingress) and bytes out (OpenAI's reply), so nothing is parsed twice. Who may call, and when, was decided before.
"""

import os
from collections.abc import AsyncIterator
from typing import Any, TypedDict

from deployments.models.engines.protocol import (
    Engine,
    EngineFailureError,
    EngineOptions,
    GenerateRequest,
    Usage,
)
from deployments.models.engines.simulated import SimulatedEngine
from deployments.models.openai_format import ChatStream, completion

ENGINES = {"simulated": SimulatedEngine}


class ChatCall(TypedDict):
    """What the ingress sends."""

    id: str
    model: str
    messages: list[dict[str, str]]
    max_tokens: int
    temperature: float | None
    top_p: float | None
    stop: list[str]
    seed: int | None
    include_usage: bool


class UsageReport(TypedDict):
    """What the ingress settles by, in tokens."""

    input_tokens: int
    output_tokens: int


def make_engine(kind: str, options: EngineOptions) -> Engine:
    """Checks the options and makes the engine; nothing is loaded yet."""
    return ENGINES[kind](options)


class ModelService:
    """One replica of one model."""

    def __init__(self, kind: str, options: dict[str, Any]) -> None:
        self._engine = make_engine(kind, options)
        self._loaded = False

    async def check_health(self) -> None:
        if not self._loaded:
            await self._engine.load()
            self._loaded = True
        await self._engine.check_health()

    async def chat(self, call: ChatCall) -> tuple[bytes, UsageReport]:
        """A whole reply: its body, and what it used."""
        pieces = []
        async for chunk in self._engine.generate(_request(call)):
            pieces.append(chunk.text)
            if chunk.usage is not None:
                return completion(call["id"], call["model"], "".join(pieces), chunk), _report(chunk.usage)
        raise EngineFailureError("the engine ended a reply without saying what it used")

    async def chat_stream(self, call: ChatCall) -> AsyncIterator[bytes | UsageReport]:
        """A reply as it grows: server-sent events; what it used comes just before the last of them."""
        stream = ChatStream(call["id"], call["model"], call["include_usage"])
        opening = stream.first()  # travels with the first piece: until then a failure still has a status code
        async for chunk in self._engine.generate(_request(call)):
            if chunk.usage is not None:
                yield _report(chunk.usage)
            yield opening + stream.chunk(chunk)
            opening = b""

    def process_id(self, _: None = None) -> int:
        """The operating system's id of this replica's process; for readiness, tests and drills."""
        return os.getpid()


def _request(call: ChatCall) -> GenerateRequest:
    return GenerateRequest(
        messages=tuple(call["messages"]),
        max_tokens=call["max_tokens"],
        temperature=call["temperature"],
        top_p=call["top_p"],
        stop=tuple(call["stop"]),
        seed=call["seed"],
    )


def _report(usage: Usage) -> UsageReport:
    return UsageReport(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
