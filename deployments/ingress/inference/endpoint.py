"""The way of a request to a model, in one coroutine.

authenticate -> resolve -> acquire -> admit -> run -> settle; acquire to settle again for each model of a fallback
chain. It is a bare ASGI endpoint: everything between the acquisition and the last byte stands in one `try`, so whatever
happens to the client, the replica or this process's deadline, what was acquired is given back.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, cast

from starlette.types import Receive, Scope, Send

from deployments.ingress.admission import costs_of, model_for, refusals
from deployments.ingress.authentication import require_role
from deployments.ingress.errors import HttpError, internal, told_of_denial, unavailable
from deployments.ingress.http import ClientGoneError, RawHeaders, header_of, read_body
from deployments.ingress.inference.exchange import Exchange, Used
from deployments.ingress.inference.operation import Operation
from deployments.ingress.routes import route
from deployments.ingress.state import IngressState
from deployments.ingress.traced import told_of
from deployments.router.contract import (
    AdmissionError,
    ModelFailedError,
    PoolUnavailableError,
    QueueTimeoutError,
    Wanted,
)
from policies import Window
from policies.entities import Model, Role
from policies.http import ratelimit_headers, retry_headers
from policies.resolver import Identity

QUEUE_TIMEOUT_HEADER = "x-sluice-queue-timeout-ms"
"""How long a client is willing to wait for a slot. It can shorten what the band allows, never lengthen it."""

_QUEUE_TIMEOUT = QUEUE_TIMEOUT_HEADER.encode()

UNDO_S = 1.0
"""How long a fallback waits for the limits' store to take back what the model before it was charged. After that it
goes on: what both are charged counts twice for a moment, which may deny and never over-admits."""


Parse = Callable[[Scope, bytes], Operation]
"""What is asked for by a request with this body; raises `HttpError`."""


class Inference:
    """The endpoint of all operations; what tells them apart is how a body is read."""

    def __init__(self, state: IngressState, parse: Parse) -> None:
        self._state, self._parse = state, parse
        self._told: tuple[tuple[Window, ...], RawHeaders, dict[str, Any]] = ((), [], {})
        """The last windows that were told, their headers, and the error where they denied: in a flood of denials many
        share theirs."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange, state = Exchange(scope, send), self._state
        if state.tracer is not None:
            exchange.trace = state.tracer.begin(scope["headers"])
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
            exchange.left()
        except asyncio.CancelledError:
            exchange.left()
            raise
        except Exception:  # whatever it was, the client gets an answer of OpenAI's form
            broken = internal()
            self._failed(exchange, broken)
            await exchange.fail(broken)
            raise  # for the log
        finally:
            state.tally.ended(exchange)
            if state.access_log is not None:
                state.access_log.ended(exchange)
            if exchange.trace is not None:
                attributes, failed = told_of(exchange)
                exchange.trace.ended(attributes, failed=failed)
            recorder, identity = state.feed.recorder, exchange.identity
            if recorder.watched and identity is not None:
                recorder.ended(exchange.ended(identity))

    def _failed(self, exchange: Exchange, error: HttpError) -> None:
        identity = exchange.identity
        if identity is not None and (error.status >= 500 or error.code in ("queue_full", "queue_timeout")):
            self._state.sla.failed(identity.tenant, identity.qos_tier)

    async def _serve(self, scope: Scope, receive: Receive, exchange: Exchange) -> None:
        state = self._state
        identity = exchange.identity = await state.identify(scope)
        require_role(identity, Role.INFERENCE)
        operation = self._parse(scope, await read_body(scope, receive, state.settings.max_body_bytes))
        chain = route(state.resolver, identity, model_for(state, identity, operation.model), random.random)
        ready_to_wait_until = time.monotonic() + _queue_timeout_s(scope, state.settings.request_deadline_s)
        first: tuple[HttpError, RawHeaders] | None = None
        for model in chain:
            wait_s = max(0.0, ready_to_wait_until - time.monotonic())
            if model is not chain[-1]:
                wait_s = min(wait_s, model.fallback_after / 1000)
            try:
                await self._attempt(identity, operation, model, wait_s, exchange)
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
        self, identity: Identity, operation: Operation, model: Model, wait_s: float, exchange: Exchange
    ) -> None:
        """Serves the request by this model, or raises `_UnservedError`: another one may."""
        state = self._state
        most_output_tokens = operation.most_output_tokens(model)
        input_tokens = await state.counters.of(model.pool_name, operation.prompts)
        exchange.undoing, exchange.model = None, model.name
        charges = state.resolver.charges(identity, model, costs_of(input_tokens, most_output_tokens))
        asked_at = time.monotonic()
        try:
            with refusals():
                decision = await state.limiter.acquire(charges)
                took_s = time.monotonic() - asked_at
                state.tally.decided(decision, took_s)
                if exchange.trace is not None:
                    exchange.trace.passed("check", took_s, {"sluice.allowed": decision.allowed})
        except HttpError as error:
            if exchange.trace is not None:
                exchange.trace.passed("check", time.monotonic() - asked_at, {"error.type": error.code})
            raise _UnservedError(error, denied=True) from error
        recorder = state.feed.recorder
        if recorder.watched:
            recorder.decided(exchange.request_id, identity, model.name, decision)
        if decision.windows is not self._told[0]:
            headers = ratelimit_headers(decision, state.settings.ratelimit_headers)
            self._told = decision.windows, headers, {} if decision.allowed else told_of_denial(decision)
        exchange.headers = self._told[1]
        if not decision.allowed:
            raise _UnservedError(HttpError(**self._told[2]), denied=True)

        used, slot = Used(input_tokens), None
        exchange.used = used
        asked_at = time.monotonic()
        state.settlement.begin(decision)
        try:
            slot = await state.pools.admit(
                Wanted(
                    model.pool_name,
                    identity.qos_tier,
                    identity.tenant,
                    identity.weight,
                    input_tokens + most_output_tokens,
                    wait_s,
                )
            )
            used.ran = True
            exchange.wait_s = time.monotonic() - asked_at
            call = operation.call(model)
            if exchange.trace is not None:
                exchange.trace.passed("admission", exchange.wait_s, {"sluice.band": identity.qos_tier})
                call["traceparent"] = exchange.trace.model_begins(model.name)
            if operation.stream:
                await self._stream(operation, model, call, used, exchange)
            else:
                answer = await state.pools.call(model.pool_name, operation.method, call)
                body, report = _unless_refused(answer, used)
                used.report(report)
                await exchange.reply(body)
        except AdmissionError as error:
            no_slot = _no_slot(error, model)
            if exchange.trace is not None and slot is None:
                exchange.trace.passed("admission", time.monotonic() - asked_at, {"error.type": no_slot.code})
            if exchange.begun:  # the replica was lost in the middle: what was sent cannot be taken back
                used.failed()
                raise no_slot from error
            used.nothing_ran()
            raise _UnservedError(no_slot) from error
        except ModelFailedError as error:
            used.failed()
            raise HttpError(500, "model_failed", f"The model {model.name!r} failed on this request.") from error
        finally:
            if slot is not None:
                state.pools.release(slot, used.tokens() if used.ran else None)
            if used.ran:
                settling = state.settlement.end(decision, used.actual())
            else:
                settling = exchange.undoing = state.settlement.undo(decision)
            if exchange.trace is not None:
                exchange.trace.model_ended()
                if settling is not None:
                    exchange.trace.settles(settling)

    async def _stream(
        self, operation: Operation, model: Model, call: dict[str, Any], used: Used, exchange: Exchange
    ) -> None:
        reply = self._state.pools.stream(model.pool_name, operation.method, call)
        async with aclosing(cast(Any, reply)) as pieces:
            async for piece in pieces:
                events, chunks, report = _unless_refused(piece, used)
                if report is None:
                    used.output_tokens += chunks
                else:
                    used.report(report)
                await exchange.event(events)
        if not used.reported:  # or what was cut short would look whole
            raise ModelFailedError("the reply ended before its end")
        await exchange.finish()


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


def _queue_timeout_s(scope: Scope, longest_s: float) -> float:
    """How long the client is willing to wait."""
    value = header_of(scope, _QUEUE_TIMEOUT)
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


def _unless_refused(answer: Any, used: Used) -> Any:
    """What a replica answered, unless it says that the request is the client's to mend."""
    if isinstance(answer, dict) and "refused" in answer:
        used.refused()
        refused = answer["refused"]
        raise HttpError(refused["status"], refused["code"], refused["message"], param=refused["param"])
    return answer
