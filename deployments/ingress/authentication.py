"""Who is asking: an API key becomes an identity.

How often an address may fail at it is `failed_authentications`' business; where keys are found, `policies.catalogue`'s.
"""

import asyncio
import hashlib
import hmac
import re
from datetime import UTC, datetime

from deployments.ingress.errors import HttpError, unavailable
from deployments.ingress.failed_authentications import Attempts
from policies.catalogue.live import LiveCatalogue
from policies.entities import ApiKey, Role
from policies.errors import StoreError
from policies.http import retry_headers
from policies.resolver import Identity

MAX_KEY_LENGTH = 256
"""Longest key, in characters."""

ALL_BUT_GATEWAYS = (Role.INFERENCE, Role.ADMIN, Role.OPERATOR)
"""Who may look at models and at limits of their own."""

_KEY = re.compile(r"sk-(?:(demo-[a-z]+)|([A-Za-z0-9]{1,64})-[A-Za-z0-9_]{16,128})", re.ASCII)
_NO_KEY_SHA256 = "0" * 64


def key_id(presented: str) -> str | None:
    """The id in `sk-<id>-<secret>` or in a demo key `sk-demo-<name>`; None for what is no key at all."""
    match = _KEY.fullmatch(presented)
    return None if match is None else match[1] or match[2]


def sha256_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def presented_key(authorization: str | None) -> str:
    """The key in an `Authorization` header, or a 401."""
    scheme, _, presented = (authorization or "").partition(" ")
    presented = presented.strip()
    if scheme.lower() != "bearer" or not presented:
        raise _unauthorized("missing_api_key", "No API key: send the header 'Authorization: Bearer sk-…'.")
    return presented


async def authenticate(
    presented: str, live: LiveCatalogue, attempts: Attempts, *, demo: bool, now: datetime | None = None
) -> Identity:
    """The identity behind a key, or a 401. What was sent is never repeated in the answer.

    An address with too many failures behind it is answered with 429, unless its key is right and known here already: it
    can neither try further keys nor make this process look any up, and it locks nobody out who was here before.
    """
    identifier = key_id(presented)
    known, identity = live.recall(identifier) if identifier else (True, None)
    if known or not identifier:
        try:
            return _proven(identity, presented, demo=demo, now=now)
        except HttpError as error:
            raise _counted(error, attempts.fail()) from None
    wait_s = await attempts.begin()
    if wait_s:
        raise _too_many(wait_s)
    failed = False
    try:
        return _proven(await look_up(live, identifier), presented, demo=demo, now=now)
    except HttpError as error:
        failed = error.status == 401
        raise
    except asyncio.CancelledError:
        failed = True  # leaving early must not be a way to try for nothing
        raise
    finally:
        attempts.end(failed=failed)


async def look_up(live: LiveCatalogue, identifier: str) -> Identity | None:
    """Who has the key with this id, or nobody; 503 where Redis must be asked and does not answer."""
    try:
        return await live.identity(identifier)
    except StoreError as error:
        raise unavailable("keys_unavailable", "API keys cannot be looked up now.") from error


def usable(identity: Identity | None, *, demo: bool, now: datetime | None = None) -> Identity:
    """The identity, where its key is there and may be used; else a 401."""
    if identity is None or identity.key.revoked or (identity.key.demo and not demo):
        raise _unauthorized("invalid_api_key", "This API key is not known here, or it was revoked.")
    expires_at = identity.key.expires_at
    if expires_at is not None and expires_at <= (now or datetime.now(UTC)):
        raise _unauthorized("expired_api_key", f"This API key expired at {expires_at.isoformat()}.")
    return identity


def require_role(identity: Identity, *roles: Role) -> None:
    """403 unless the key has one of these roles."""
    if identity.key.role not in roles:
        raise HttpError(
            403, "wrong_role", f"This API key has the role {identity.key.role}; this needs {' or '.join(roles)}."
        )


def _proven(identity: Identity | None, presented: str, *, demo: bool, now: datetime | None) -> Identity:
    now = now or datetime.now(UTC)
    # Compared whether there is such a key or not, so that time tells nothing.
    proven = _is_secret_of(identity.key if identity else None, presented, now)
    return usable(identity if proven else None, demo=demo, now=now)


def _is_secret_of(key: ApiKey | None, presented: str, now: datetime) -> bool:
    """Whether what was presented is this key, or what it was before its rotation while that is still accepted.

    Compared in constant time, and compared twice even where there is no such key, so that time tells nothing.
    """
    sha256 = sha256_of(presented)
    current = previous = _NO_KEY_SHA256
    if key is not None:
        current = key.sha256
        if key.previous_sha256 and key.previous_until and now < key.previous_until:
            previous = key.previous_sha256
    is_current, is_previous = hmac.compare_digest(sha256, current), hmac.compare_digest(sha256, previous)
    return is_current or is_previous


def _counted(error: HttpError, wait_s: float) -> HttpError:
    """The error of a failure, or that there were too many before it."""
    return _too_many(wait_s) if wait_s else error


def _too_many(wait_s: float) -> HttpError:
    return HttpError(
        429,
        "too_many_failed_authentications",
        "Too many requests from your address had no valid API key. Check the key, and wait before you try again.",
        type="authentication_error",
        headers=retry_headers(wait_s),
    )


def _unauthorized(code: str, message: str) -> HttpError:
    return HttpError(401, code, message, headers={"www-authenticate": "Bearer"})
