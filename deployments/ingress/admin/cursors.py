"""Cursors of pages: where to go on, opaque to clients and bound to the list they come from."""

import base64
import binascii

import orjson

from deployments.ingress.errors import HttpError

MAX_CURSOR = 512
"""Longest cursor, in characters: names have at most 128."""


def cursor_of(listed: str, after: str | int | None) -> str | None:
    """The cursor that goes on behind `after` in the list `listed`; None at its end."""
    if after is None:
        return None
    return base64.urlsafe_b64encode(orjson.dumps([listed, after])).decode().rstrip("=")


def after_name(listed: str, cursor: str | None) -> str:
    """The name that a page begins behind; empty for the first. 400 for what is no cursor of this list."""
    after = _read(listed, cursor)
    if isinstance(after, str) or after is None:
        return after or ""
    raise _invalid(listed)


def before_number(listed: str, cursor: str | None) -> int | None:
    """The same for lists in order of numbers, newest first."""
    after = _read(listed, cursor)
    if after is None or (isinstance(after, int) and not isinstance(after, bool) and 0 < after < 1 << 53):
        return after
    raise _invalid(listed)


def _read(listed: str, cursor: str | None) -> object:
    if cursor is None:
        return None
    try:
        kind, after = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError):  # no base64, no JSON, no pair
        raise _invalid(listed) from None
    if kind != listed or after is None:
        raise _invalid(listed)
    return after


def _invalid(listed: str) -> HttpError:
    message = f"cursor must be the next_cursor of a page of {listed}; leave it out to begin with the first page."
    return HttpError(400, "invalid_cursor", message, param="cursor")
