"""One request's reply as it is sent, and what the request has used."""

import asyncio
import time
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.types import Scope, Send

from deployments.ingress.errors import HttpError
from deployments.ingress.http import EVENT_STREAM, JSON, RawHeaders, request_id_of, send_error, send_reply
from deployments.ingress.live.recorder import Ended
from policies.entities import Unit
from policies.resolver import Identity

if TYPE_CHECKING:  # OpenTelemetry comes in only where tracing is on
    from deployments.tracing.tracer import RequestTrace


class Exchange:
    """The reply as far as it was sent."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._streaming = self._replied = False
        self._arrived_at = time.monotonic()
        self._first_at: float | None = None
        self.headers: RawHeaders = []
        """What the limits say."""
        self.model = ""
        """Which one serves."""
        self.identity: Identity | None = None
        self.status = 500
        """Of the reply. Where nobody gave one, something failed that nobody expected."""
        self.code: str | None = None
        """The error's, where it is one."""
        self.wait_s: float | None = None
        """How long it waited for its slot, once it has one."""
        self.used: Used | None = None
        self.trace: RequestTrace | None = None
        """Where it is traced."""
        self.undoing: asyncio.Task[None] | None = None
        """Takes back what the last model was charged, where it did not serve."""

    @property
    def begun(self) -> bool:
        """Whether the client has got something."""
        return self._streaming

    @cached_property
    def request_id(self) -> str:
        return request_id_of(self._scope)

    def ended(self, identity: Identity) -> Ended:
        """How it ended, for those who watch."""
        first_s, total_s = self.times_s()
        used = self.used
        tokens = (0, 0) if used is None or not used.ran else (used.input_tokens, used.output_tokens)
        return Ended(
            self.request_id, identity, self.model, self.status, self.code, self.wait_s, first_s, total_s, *tokens
        )

    def left(self) -> None:
        """The client has left before the end."""
        self.status = 499

    def times_s(self) -> tuple[float | None, float]:
        """From the request's arrival to its first token (None where it was not streamed), and to now."""
        first_s = None if self._first_at is None else self._first_at - self._arrived_at
        return first_s, time.monotonic() - self._arrived_at

    async def reply(self, body: bytes) -> None:
        self.status, self._replied = 200, True
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
        if self.code is None:
            self.status = 200
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def fail(self, error: HttpError) -> None:
        """An error reply, or, where a stream has begun, an event that says what went wrong."""
        self.status, self.code = error.status, error.code
        if self._replied:
            return
        if self._streaming:
            await self.event(b"data: " + error.body() + b"\n\n")
            await self.finish()
        else:
            await send_error(self._send, error, self.headers)


class Used:
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

    def refused(self) -> None:
        """The model would not begin: it counts as a request, and has no tokens."""
        self.reported = True
        self.input_tokens = self.output_tokens = 0

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
