"""Who is asking: an API key from the header becomes an identity."""

import hashlib
import hmac
import re
from datetime import UTC, datetime

from deployments.ingress.errors import HttpError, unavailable
from policies.catalogue.live import LiveCatalogue
from policies.entities import ApiKey, Role
from policies.errors import StoreError
from policies.resolver import Identity

_KEY = re.compile(r"sk-(?:(demo-[a-z]+)|([A-Za-z0-9]{1,64})-[A-Za-z0-9_]{16,128})", re.ASCII)
_NO_KEY_SHA256 = "0" * 64


def key_id(presented: str) -> str | None:
    """The id in `sk-<id>-<secret>` or in a demo key `sk-demo-<name>`; None for what is no key at all."""
    match = _KEY.fullmatch(presented)
    return None if match is None else match[1] or match[2]


def sha256_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


async def authenticate(
    authorization: str | None, live: LiveCatalogue, *, demo: bool, now: datetime | None = None
) -> Identity:
    """The identity behind an `Authorization` header, or a 401. What was sent is never repeated in the answer."""
    scheme, _, presented = (authorization or "").partition(" ")
    if not authorization or scheme.lower() != "bearer" or not presented.strip():
        raise _unauthorized("missing_api_key", "No API key: send the header 'Authorization: Bearer sk-…'.")
    presented = presented.strip()
    identifier = key_id(presented)
    known, identity = live.recall(identifier) if identifier else (True, None)
    if not known and identifier:
        try:
            identity = await live.identity(identifier)
        except StoreError as error:
            raise unavailable("keys_unavailable", "API keys cannot be looked up now.") from error
    if identity is not None and identity.key.demo and not demo:
        identity = None
    now = now or datetime.now(UTC)
    if not _is_secret_of(identity.key if identity else None, presented, now) or identity is None:
        raise _unauthorized("invalid_api_key", "This API key is not known here, or it was revoked.")
    if identity.key.revoked:
        raise _unauthorized("invalid_api_key", "This API key is not known here, or it was revoked.")
    expires_at = identity.key.expires_at
    if expires_at is not None and expires_at <= now:
        raise _unauthorized("expired_api_key", f"This API key expired at {expires_at.isoformat()}.")
    return identity


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


def require_role(identity: Identity, *roles: Role) -> None:
    """403 unless the key has one of these roles."""
    if identity.key.role not in roles:
        raise HttpError(
            403, "wrong_role", f"This API key has the role {identity.key.role}; this needs {' or '.join(roles)}."
        )


def _unauthorized(code: str, message: str) -> HttpError:
    return HttpError(401, code, message, headers={"www-authenticate": "Bearer"})
