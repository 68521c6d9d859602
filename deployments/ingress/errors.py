"""Errors as clients see them: OpenAI's shape, one class for each answer. The only place that knows status codes."""

import math
from typing import Any

import orjson

from policies import Decision

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
}


class HttpError(Exception):
    """An answer other than success. Its message goes to the client: no keys, no prompts, no internals."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        type: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param
        self.type = type or ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        self.headers = headers or {}
        self.fields = fields

    def body(self) -> bytes:
        """`{"error": {"message": …, "type": …, "param": …, "code": …}}`."""
        error = {"message": str(self), "type": self.type, "param": self.param, "code": self.code, **self.fields}
        return orjson.dumps({"error": error})


def retry_headers(retry_after_s: float) -> dict[str, str]:
    """What tells a client when to come back: whole seconds rounded up, exact milliseconds."""
    headers = {"retry-after": str(math.ceil(retry_after_s)), "retry-after-ms": str(math.ceil(retry_after_s * 1000))}
    if retry_after_s > 60:  # SDKs would sleep that long while a person waits
        headers["x-should-retry"] = "false"
    return headers


def unavailable(code: str, message: str, retry_after_s: float = 1.0) -> HttpError:
    """503: nothing is wrong with the request."""
    return HttpError(503, code, message, headers=retry_headers(retry_after_s))


def rate_limited(decision: Decision) -> HttpError:
    """429 for a decision that denied."""
    window = next(window for window in decision.windows if window.policy == decision.denied_by)
    wait_s = decision.retry_after_s
    rate = f"{window.limit} {window.unit.replace('_', ' ')}"
    if window.unit != "concurrent_requests":
        rate += f" in {window.window_s:g} s"
    whose = f" for {window.subject!r}" if window.subject else ""
    return HttpError(
        429,
        "rate_limit_exceeded",
        f"Rate limit reached: policy {window.policy!r} ({window.scope}) allows {rate}{whose}; "
        f"{window.used} used, {window.cost} asked. Try again in {wait_s:g} s.",
        type="tokens" if window.unit.endswith("_tokens") else window.unit,
        headers=retry_headers(wait_s),
        policy=window.policy,
        scope=window.scope,
    )
