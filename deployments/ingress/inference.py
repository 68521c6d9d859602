"""`POST /v1/chat/completions`: the way of a request, in one coroutine.

authenticate -> resolve -> acquire -> admit -> run -> settle. It is a bare ASGI endpoint: everything between the
acquisition and the last byte stands in one `try`, so whatever happens to the client, the replica or this process's
deadline, what was acquired is given back.
"""

import asyncio
from contextlib import aclosing
from secrets import token_hex
from typing import Any, cast

import orjson
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from deployments.ingress.admission import costs_of, model_for, refusals
from deployments.ingress.authentication import require_role
from deployments.ingress.errors import HttpError, rate_limited, unavailable
from deployments.ingress.http import EVENT_STREAM, JSON, ClientGoneError, RawHeaders, read_body, send_error, send_reply
from deployments.ingress.openai_schema import ChatCompletionRequest, parse_chat
from deployments.ingress.state import IngressState
from deployments.router.contract import ModelFailedError, PoolUnavailableError, QueueFullError
from policies.entities import Model, Role, Unit
from policies.http import ratelimit_headers, retry_headers

BYTES_PER_TOKEN = 3
"""For estimating a prompt's tokens before the engine has counted them; texts rarely have fewer bytes a token."""

TOKENS_PER_MESSAGE = 4
"""What a chat template adds to each message, in tokens."""


class ChatCompletions:
    """The endpoint."""

    def __init__(self, state: IngressState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(send)
        try:
            async with asyncio.timeout(self._state.settings.request_deadline_s):
                await self._serve(scope, receive, exchange)
        except HttpError as error:
            await exchange.fail(error)
        except TimeoutError:
            await exchange.fail(unavailable("deadline_exceeded", "The request took longer than this server allows."))
        except ClientGoneError:
            pass

    async def _serve(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        state = self._state
        identity = await state.identify(scope)
        require_role(identity, Role.INFERENCE)
        request = parse_chat(await read_body(Headers(scope=scope), receive, state.settings.max_body_bytes))
        model = model_for(state, identity, request.model)
        max_tokens = min(request.reply_cap or model.max_output_tokens, model.max_output_tokens)
        input_tokens = _estimate_input_tokens(request)
        with refusals():
            charges = state.resolver.charges(identity, model, costs_of(input_tokens, max_tokens))
            decision = await state.limiter.acquire(charges)
        exchange.headers = ratelimit_headers(decision, state.settings.ratelimit_headers)
        if not decision.allowed:
            raise rate_limited(decision)

        used = _Used(input_tokens)
        state.settlement.begin(decision)
        try:
            call = _call(request, model, max_tokens)
            exchange.headers.append((b"x-sluice-model", model.name.encode()))
            if request.stream:
                await self._stream(model, call, used, exchange)
            else:
                body, report = await state.pools.call(model.pool_name, "chat", call)
                used.report(report)
                await exchange.reply(body)
        except QueueFullError as error:
            used.nothing_ran()
            raise HttpError(
                429,
                "queue_full",
                f"Too many requests wait for {model.name!r}.",
                type="requests",
                headers=retry_headers(1),
            ) from error
        except PoolUnavailableError as error:
            used.nothing_ran()
            raise unavailable("model_unavailable", f"No replica of {model.name!r} can serve now.") from error
        except ModelFailedError as error:
            used.failed()
            raise HttpError(500, "model_failed", f"The model {model.name!r} failed on this request.") from error
        finally:
            if used.ran:
                state.settlement.end(decision, used.actual())
            else:
                state.settlement.undo(decision)

    async def _stream(self, model: Model, call: dict[str, Any], used: "_Used", exchange: "_Exchange") -> None:
        async with aclosing(cast(Any, self._state.pools.stream(model.pool_name, "chat_stream", call))) as pieces:
            async for piece in pieces:
                if isinstance(piece, dict):
                    used.report(piece)
                else:
                    used.output_tokens += not used.reported
                    await exchange.event(piece)
        await exchange.finish()


class _Exchange:
    """The reply as far as it was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._streaming = False
        self.headers: RawHeaders = []

    async def reply(self, body: bytes) -> None:
        await send_reply(self._send, 200, [JSON, *self.headers], body)

    async def event(self, event: bytes) -> None:
        if not self._streaming:
            self._streaming = True
            headers = [*EVENT_STREAM, *self.headers]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def finish(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def fail(self, error: HttpError) -> None:
        """An error reply, or, where the reply has begun, an event that says what went wrong."""
        if self._streaming:
            await self.event(b"data: " + error.body() + b"\n\n")
            await self.finish()
        else:
            await send_error(self._send, error, self.headers)


class _Used:
    """What a request has used, as far as it is known."""

    def __init__(self, input_tokens: int) -> None:
        self.ran = True
        self.reported = False
        self.input_tokens = input_tokens
        self.output_tokens = 0

    def report(self, usage: dict[str, int]) -> None:
        """The engine's own count."""
        self.reported = True
        self.input_tokens, self.output_tokens = usage["input_tokens"], usage["output_tokens"]

    def failed(self) -> None:
        """The model broke: what the client has got is what it pays for."""
        self.reported = True

    def nothing_ran(self) -> None:
        """As though it had never been asked."""
        self.ran = False

    def actual(self) -> dict[str, int]:
        """By unit. A client that leaves before anything came pays what was reserved: how far the model got is not
        known, and leaving early must not be a way to have tokens for nothing."""
        if not self.reported and not self.output_tokens:
            return {}
        return {
            Unit.INPUT_TOKENS: self.input_tokens,
            Unit.OUTPUT_TOKENS: self.output_tokens,
            Unit.TOTAL_TOKENS: self.input_tokens + self.output_tokens,
        }


def _estimate_input_tokens(request: ChatCompletionRequest) -> int:
    return sum(len(m.text().encode()) // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE for m in request.messages)


def _call(request: ChatCompletionRequest, model: Model, max_tokens: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{token_hex(12)}",
        "model": model.name,
        "messages": [{"role": message.role, "content": message.text()} for message in request.messages],
        "max_tokens": max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": request.stop,
        "seed": request.seed,
        "include_usage": bool(request.stream_options and request.stream_options.include_usage),
    }


def models_body(models: tuple[Model, ...]) -> bytes:
    """`GET /v1/models`."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "sluice"}
        for model in models
        for name in (model.name, *model.aliases)
    ]
    return orjson.dumps({"object": "list", "data": data})
