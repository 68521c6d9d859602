"""Limits for any ASGI application (FastAPI, Starlette, a Ray Serve ingress), in three lines:

    limiter = Limiter(redis)
    policy = RateLimitPolicy(name="burst", scope="TENANT", limit=10, window="10s")
    app.add_middleware(RateLimitMiddleware, limiter=limiter, charges=lambda scope: [Charge(policy, tenant_of(scope))])

A request whose charges all fit goes on, and its reply carries rate-limit headers; one that does not is answered with
429 and the time to come back, and never reaches the application. What is held (concurrent requests) is renewed while
the reply streams and given back at its end, whatever that end is.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policies.decision import Charge
from policies.errors import CostExceedsLimitError, StoreError
from policies.http import Style, denial, denying, ratelimit_headers, retry_headers, wait_s
from policies.limiter import Limiter
from policies.settlement import Settlement

Charges = Callable[[Scope], Sequence[Charge]]
"""What a request costs, from its ASGI scope; an empty sequence lets it through unlimited."""

USED = "sluice.used"
"""Key in the request's scope under which an application may leave what was really used: `{"total_tokens": 412}`."""


class RateLimitMiddleware:
    """See the module. Everything but HTTP requests passes untouched."""

    def __init__(self, app: ASGIApp, *, limiter: Limiter, charges: Charges, headers: Style = "both") -> None:
        self._app = app
        self._limiter = limiter
        self._charges = charges
        self._style = headers
        self._settlement = Settlement(limiter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        charges = self._charges(scope) if scope["type"] == "http" else ()
        if not charges:
            await self._app(scope, receive, send)
            return
        try:
            decision = await self._limiter.acquire(charges)
        except CostExceedsLimitError as error:
            await _refuse(send, 400, {"message": f"{error}.", "code": "request_exceeds_limit", "policy": error.policy})
            return
        except StoreError:
            refusal = {"message": "Rate limits cannot be checked now.", "code": "limits_unavailable"}
            await _refuse(send, 503, refusal, retry_headers(1))
            return
        shown = ratelimit_headers(decision, self._style)
        if not decision.allowed:
            await _refuse(send, 429, denial(decision), retry_headers(wait_s(denying(decision))), shown)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *shown]
            await send(message)

        self._settlement.begin(decision)
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            self._settlement.end(decision, scope.get(USED, {}))


async def _refuse(
    send: Send,
    status: int,
    error: Mapping[str, Any],
    retry: Mapping[str, str] | None = None,
    shown: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    kind = "invalid_request_error" if status == 400 else "server_error"
    body = json.dumps({"error": {"type": kind, "param": None, **error}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *shown]
    headers += [(name.encode(), value.encode()) for name, value in (retry or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
