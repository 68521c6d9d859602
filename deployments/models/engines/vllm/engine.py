"""The engine over vLLM's server: our requests in, its replies out, its errors in our words."""

import base64
import math
from array import array
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, NoReturn, cast

from deployments.models.engines.protocol import (
    Chunk,
    Embeddings,
    EmbedRequest,
    Engine,
    EngineBrokenError,
    EngineError,
    EngineFailureError,
    GenerateRequest,
    RequestRefusedError,
    unsupported_operation,
)
from deployments.models.engines.vllm.bodies import embed_body, generate_body, is_chat, prompt_of
from deployments.models.engines.vllm.options import VllmOptions
from deployments.models.engines.vllm.replies import ReplyReader
from deployments.models.engines.vllm.server import Complaint, Server

_OF_THE_LENGTH = frozenset({"input_tokens", "input_text", "max_tokens", "max_completion_tokens"})
"""What vLLM names as the parameter at fault when prompt and reply together are longer than the context."""

_WARM_UP = "The water flows."


class _TooLongError(EngineError):
    """Prompt and reply together are longer than the context: perhaps the reply only."""


class VllmEngine(Engine):
    """See the module."""

    def __init__(self, options: VllmOptions, server: Server) -> None:
        self._options, self._server = options, server
        self._context_tokens = 0

    async def load(self) -> None:
        await self._server.start()
        _, self._context_tokens = await self._measured({"prompt": _WARM_UP})
        if self._options.task == "embed":
            await self.embed(EmbedRequest((_WARM_UP,)))
            return
        async for _ in self.generate(GenerateRequest(_WARM_UP, max_tokens=2)):
            pass

    async def check_health(self) -> None:
        try:
            await self._server.check_health()
        except Exception as error:  # whatever it raises, it says that the engine is dead
            raise EngineBrokenError(f"vLLM's engine is dead: {error}") from error

    async def close(self) -> None:
        await self._server.stop()

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Chunk]:
        if self._options.task != "generate":
            raise unsupported_operation("text generation")
        max_tokens = min(request.max_tokens, self._context_tokens - 1)
        try:
            async with aclosing(cast(Any, self._attempt(request, max_tokens))) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except _TooLongError:
            max_tokens = min(request.max_tokens, await self._room(request))
        # vLLM refuses a reply that might not fit; ours is cut off at the context's end.
        try:
            async with aclosing(cast(Any, self._attempt(request, max_tokens))) as chunks:
                async for chunk in chunks:
                    yield chunk
        except _TooLongError as error:
            raise EngineFailureError(f"vLLM counts a prompt in two ways: {error}") from error

    async def embed(self, request: EmbedRequest) -> Embeddings:
        if self._options.task != "embed":
            raise unsupported_operation("embeddings")
        try:
            reply = await self._server.embed(embed_body(request))
        except Exception as error:  # noqa: BLE001 - of vLLM's inside: any
            await self._failed(error)
        if isinstance(reply, Complaint):
            try:
                await self._complained(reply, "input")
            except _TooLongError as error:
                raise _too_long(str(error), "input") from error
        vectors = tuple(_unit(base64.b64decode(each["embedding"])) for each in reply["data"])
        return Embeddings(vectors, reply["usage"]["prompt_tokens"])

    async def _attempt(self, request: GenerateRequest, max_tokens: int) -> AsyncIterator[Chunk]:
        body = generate_body(request, max_tokens)
        reader = ReplyReader(self._server.token_bytes, request.logprobs)
        method = self._server.chat if is_chat(request) else self._server.complete
        try:
            async with aclosing(cast(Any, method(body))) as pieces:
                async for piece in pieces:
                    for found in (piece,) if isinstance(piece, Complaint) else reader.read(piece):
                        if isinstance(found, Complaint):
                            await self._complained(found, _prompt_name(request))
                        yield found
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001 - of vLLM's inside: any
            await self._failed(error)
        if not reader.ended:
            await self._failed(EngineFailureError("the reply has no end"))

    async def _room(self, request: GenerateRequest) -> int:
        """How many tokens the context has beside the prompt."""
        if isinstance(request.prompt, tuple) and not is_chat(request):
            used = len(request.prompt)
        else:
            used, _ = await self._measured(prompt_of(request))
        if used >= self._context_tokens:
            name = _prompt_name(request)
            raise _too_long(
                f"This model's maximum context length is {self._context_tokens} tokens, with room for a reply; "
                f"your {name} has {used}.",
                name,
            )
        return self._context_tokens - used

    async def _measured(self, body: Mapping[str, Any]) -> tuple[int, int]:
        try:
            told = await self._server.measure(body)
        except Exception as error:  # noqa: BLE001 - of vLLM's inside: any
            await self._failed(error)
        if isinstance(told, Complaint):
            await self._complained(told, next(iter(body)))
        return told

    async def _complained(self, told: Complaint, prompt_name: str) -> NoReturn:
        """Raises what a complaint means."""
        if told.status >= 500:
            await self._failed(EngineFailureError(told.message))
        if told.param in _OF_THE_LENGTH or "maximum context length" in told.message:
            raise _TooLongError(told.message)
        param = prompt_name if told.param in ("prompt", "messages", "input") else told.param
        raise RequestRefusedError("invalid_parameter", told.message, param=param)

    async def _failed(self, error: Exception) -> NoReturn:
        """Raises `EngineBrokenError` where the engine is dead, and `EngineFailureError` where only this request is."""
        await self.check_health()
        raise EngineFailureError(f"vLLM: {error}") from error


def _prompt_name(request: GenerateRequest) -> str:
    return "messages" if is_chat(request) else "prompt"


def _too_long(message: str, param: str) -> RequestRefusedError:
    return RequestRefusedError("context_length_exceeded", message, param=param)


def _unit(told: bytes) -> "array[float]":
    """Little-endian floats, as a vector of length 1."""
    vector = array("f", told)
    length = math.hypot(*vector)
    if abs(length - 1) < 1e-5 or length == 0:
        return vector
    return array("f", (value / length for value in vector))
