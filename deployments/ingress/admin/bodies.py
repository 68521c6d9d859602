"""Reading the body of an admin request: bounded, JSON, strictly of the types that it must have.

Strict means that `"10"` is no number and `1` no date, as the API's description says. What is wrong is told with its
place and the fix; what could be a credential is never repeated.
"""

import re
from email.message import Message
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from deployments.ingress.errors import HttpError, redacted
from deployments.ingress.http import read_body
from policies.catalogue import describe

Body = TypeVar("Body", bound=BaseModel)

MAX_ENTITY_BYTES = 1 << 18
"""Largest body that holds one entity: room for thousands of names in a policy's `match`."""

MOST_TOLD = 20
"""How many problems of one body are told."""

_GOT = re.compile(r" \(got .*\)$", re.DOTALL)


async def body_of(
    request: Request, kind: type[Body], max_bytes: int, *, empty: bytes = b"", quiet: str | None = None
) -> Body:
    """The body as `kind`. `empty`: what an absent body stands for. `quiet`: what is wrong below this place is
    told without its value, which could be a key that went astray."""
    content = await read_body(request.scope, request.receive, max_bytes) or empty
    if content is not empty:
        _require_json(request.headers.get("content-type", ""))
    try:
        return kind.model_validate_json(content, strict=True)
    except ValidationError as error:
        raise _as_http(error, kind, quiet=quiet) from None


def _require_json(content_type: str) -> None:
    message = Message()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    if message.get_content_maintype() != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise HttpError(415, "unsupported_media_type", "The body must be JSON: send 'Content-Type: application/json'.")


def _as_http(error: ValidationError, kind: type[BaseModel], *, quiet: str | None) -> HttpError:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return HttpError(400, "invalid_json", f"The body is not valid JSON: {first['ctx']['error']}.")
    # No more than are told: a body may be wrong in half a million places.
    told = [
        _GOT.sub("", each) if quiet and each.startswith(quiet) else each
        for each in describe(error, "body", kind, MOST_TOLD)
    ]
    if error.error_count() > MOST_TOLD:
        told.append(f"and {error.error_count() - MOST_TOLD} more")
    where = ".".join(str(part) for part in first["loc"])
    return HttpError(422, "invalid_parameter", "\n".join(told), param=redacted(where) or None)
