"""`POST /v1/chat/completions`: the way of a request, in one coroutine.

authenticate -> resolve -> acquire -> admit -> run -> settle; acquire to settle again for each model of a fallback
chain. It is a bare ASGI endpoint: everything between the acquisition and the last byte stands in one `try`, so whatever
happens to the client, the replica or this process's deadline, what was acquired is given back.
"""

import asyncio
import random
import time
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
from deployments.ingress.routes import route
from deployments.ingress.state import IngressState
from deployments.router.contract import (
    AdmissionError,
    ModelFailedError,
    PoolUnavailableError,
    QueueTimeoutError,
    Wanted,
)
from policies.entities import Model, Role, Unit
from policies.http import ratelimit_headers, retry_headers
from policies.resolver import Identity

BYTES_PER_TOKEN = 3
"""For estimating a prompt's tokens before the engine has counted them; texts rarely have fewer bytes a token."""

TOKENS_PER_MESSAGE = 4
"""What a chat template adds to each message, in tokens."""

QUEUE_TIMEOUT_HEADER = "x-sluice-queue-timeout-ms"
"""How long a client is willing to wait for a slot. It can shorten what the band allows, never lengthen it."""

UNDO_S = 1.0
"""How long a fallback waits for the limits' store to take back what the model before it was charged. After that it
goes on: what both are charged counts twice for a moment, which may deny and never over-admits."""


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
            self._failed(exchange, error)
            await exchange.fail(error)
        except TimeoutError:
            late = unavailable("deadline_exceeded", "The request took longer than this server allows.")
            self._failed(exchange, late)
            await exchange.fail(late)
        except ClientGoneError:
            pass

    def _failed(self, exchange: "_Exchange", error: HttpError) -> None:
        identity = exchange.identity
        if identity is not None and (error.status >= 500 or error.code in ("queue_full", "queue_timeout")):
            self._state.sla.failed(identity.tenant, identity.qos_tier)

    async def _serve(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        state, headers = self._state, Headers(scope=scope)
        identity = exchange.identity = await state.identify(scope)
        require_role(identity, Role.INFERENCE)
        request = parse_chat(await read_body(headers, receive, state.settings.max_body_bytes))
        chain = route(state.resolver, identity, model_for(state, identity, request.model), random.random)
        ready_to_wait_until = time.monotonic() + _queue_timeout_s(headers, state.settings.request_deadline_s)
        first: tuple[HttpError, RawHeaders] | None = None
        for model in chain:
            wait_s = max(0.0, ready_to_wait_until - time.monotonic())
            if model is not chain[-1]:
                wait_s = min(wait_s, model.fallback_after / 1000)
            try:
                await self._attempt(identity, request, model, wait_s, exchange)
            except _UnservedError as error:
                first = first or (error.answer, exchange.headers)
                if model is chain[-1] or (error.denied and model is chain[0]):
                    answer, exchange.headers = first
                    raise answer from error
                if exchange.undoing is not None:  # until that is done, windows that both count in hold both
                    await asyncio.wait([exchange.undoing], timeout=UNDO_S)
            else:
                state.sla.succeeded(identity.tenant, identity.qos_tier, *exchange.times_s())
                return

    async def _attempt(
        self, identity: Identity, request: ChatCompletionRequest, model: Model, wait_s: float, exchange: "_Exchange"
    ) -> None:
        """Serves the request by this model, or raises `_UnservedError`: another one may."""
        state = self._state
        max_tokens = min(request.reply_cap or model.max_output_tokens, model.max_output_tokens)
        input_tokens = _estimate_input_tokens(request)
        exchange.undoing = None
        try:
            with refusals():
                charges = state.resolver.charges(identity, model, costs_of(input_tokens, max_tokens))
                decision = await state.limiter.acquire(charges)
        except HttpError as error:
            raise _UnservedError(error, denied=True) from error
        exchange.headers = ratelimit_headers(decision, state.settings.ratelimit_headers)
        if not decision.allowed:
            raise _UnservedError(rate_limited(decision), denied=True)

        used, slot = _Used(input_tokens), None
        state.settlement.begin(decision)
        try:
            slot = await state.pools.admit(
                Wanted(
                    model.pool_name,
                    identity.qos_tier,
                    identity.tenant,
                    identity.weight,
                    input_tokens + max_tokens,
                    wait_s,
                )
            )
            used.ran = True
            call = _call(request, model, max_tokens)
            exchange.model = model.name
            if request.stream:
                await self._stream(model, call, used, exchange)
            else:
                body, report = _answered(await state.pools.call(model.pool_name, "generate", call))
                used.report(report)
                await exchange.reply(body)
        except AdmissionError as error:
            answer = _no_slot(error, model)
            if exchange.begun:  # the replica was lost in the middle: what was sent cannot be taken back
                used.failed()
                raise answer from error
            used.nothing_ran()
            raise _UnservedError(answer) from error
        except ModelFailedError as error:
            used.failed()
            raise HttpError(500, "model_failed", f"The model {model.name!r} failed on this request.") from error
        finally:
            if slot is not None:
                state.pools.release(slot, used.tokens() if used.ran else None)
            if used.ran:
                state.settlement.end(decision, used.actual())
            else:
                exchange.undoing = state.settlement.undo(decision)

    async def _stream(self, model: Model, call: dict[str, Any], used: "_Used", exchange: "_Exchange") -> None:
        async with aclosing(cast(Any, self._state.pools.stream(model.pool_name, "generate_stream", call))) as pieces:
            async for piece in pieces:
                if isinstance(piece, dict):
                    _answered(piece)
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
        self._arrived_at = time.monotonic()
        self._first_at: float | None = None
        self.headers: RawHeaders = []
        """What the limits say."""
        self.model = ""
        """Which one serves."""
        self.identity: Identity | None = None
        self.undoing: asyncio.Task[None] | None = None
        """Takes back what the last model was charged, where it did not serve."""

    @property
    def begun(self) -> bool:
        """Whether the client has got something."""
        return self._streaming

    def times_s(self) -> tuple[float | None, float]:
        """From the request's arrival to its first token (None where it was not streamed), and to now."""
        first_s = None if self._first_at is None else self._first_at - self._arrived_at
        return first_s, time.monotonic() - self._arrived_at

    async def reply(self, body: bytes) -> None:
        await send_reply(self._send, 200, [JSON, *self._served_headers()], body)

    async def event(self, event: bytes) -> None:
        if not self._streaming:
            self._streaming = True
            self._first_at = time.monotonic()
            headers = [*EVENT_STREAM, *self._served_headers()]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": event, "more_body": True})

    def _served_headers(self) -> RawHeaders:
        return [*self.headers, (b"x-sluice-model", self.model.encode())]

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
        self.ran = False
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

    def tokens(self) -> int:
        """What is known to have been used, all together."""
        return self.input_tokens + self.output_tokens

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


class _UnservedError(Exception):
    """This model did not serve the request. Another one may; if there is none, this is the answer."""

    def __init__(self, answer: HttpError, *, denied: bool = False) -> None:
        """`denied`: by its limits. Of the model that was asked for they hold, whatever it could fall back to."""
        super().__init__(str(answer))
        self.answer, self.denied = answer, denied


def _no_slot(error: AdmissionError, model: Model) -> HttpError:
    if isinstance(error, PoolUnavailableError):
        return unavailable("model_unavailable", f"No replica of {model.name!r} can serve now.", error.retry_after_s)
    late = isinstance(error, QueueTimeoutError)
    code = "queue_timeout" if late else "queue_full"
    why = "No slot is free in time for" if late else "Too many requests wait for"
    headers = retry_headers(error.retry_after_s)
    return HttpError(429, code, f"{why} {model.name!r}.", type="requests", headers=headers)


def _queue_timeout_s(headers: Headers, longest_s: float) -> float:
    """How long the client is willing to wait."""
    value = headers.get(QUEUE_TIMEOUT_HEADER)
    if value is None:
        return longest_s
    if not (value.isascii() and value.isdigit() and len(value) <= 12):
        raise HttpError(
            400,
            "invalid_header",
            f"{QUEUE_TIMEOUT_HEADER} must be a whole number of milliseconds, 0 or more.",
            param=QUEUE_TIMEOUT_HEADER,
        )
    return min(int(value) / 1000, longest_s)


def _estimate_input_tokens(request: ChatCompletionRequest) -> int:
    return sum(len(m.text().encode()) // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE for m in request.messages)


def _call(request: ChatCompletionRequest, model: Model, max_tokens: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{token_hex(12)}",
        "model": model.name,
        "form": "chat",
        "prompts": [[{"role": message.role, "content": message.text()} for message in request.messages]],
        "n": 1,
        "max_tokens": max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": request.stop,
        "seed": request.seed,
        "logprobs": None,
        "extra": {},
        "include_usage": bool(request.stream_options and request.stream_options.include_usage),
    }


def _answered(answer: Any) -> Any:
    """What a replica answered, unless that is a refusal."""
    if isinstance(answer, dict) and "refused" in answer:
        refused = answer["refused"]
        raise HttpError(refused["status"], refused["code"], refused["message"], param=refused["param"])
    return answer


def models_body(models: tuple[Model, ...]) -> bytes:
    """`GET /v1/models`."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "sluice"}
        for model in models
        for name in (model.name, *model.aliases)
    ]
    return orjson.dumps({"object": "list", "data": data})
