"""Errors as clients see them: OpenAI's shape, with the status, the code and the headers of each."""

from typing import Any

import orjson

from policies import Decision
from policies.errors import redacted as redacted  # part of what this module offers
from policies.http import denial, denying, retry_headers, wait_s

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


def unavailable(code: str, message: str, retry_after_s: float = 1.0) -> HttpError:
    """503: nothing is wrong with the request."""
    return HttpError(503, code, message, headers=retry_headers(retry_after_s))


def internal() -> HttpError:
    """500 for what nobody expected: the client learns that it was ours, and the server's log has the rest."""
    return HttpError(500, "internal_error", "Something failed here; the server's log says more.")


def rate_limited(decision: Decision) -> HttpError:
    """429 for a decision that denied."""
    return HttpError(**told_of_denial(decision))


def told_of_denial(decision: Decision) -> dict[str, Any]:
    """What that error is made of: the same for all decisions that found the same windows."""
    return {"status": 429, "headers": retry_headers(wait_s(denying(decision))), **denial(decision)}
