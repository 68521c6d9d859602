"""Who is asking: an API key from the header becomes an identity."""

import hashlib
import hmac
import re
from datetime import UTC, datetime

from deployments.ingress.errors import HttpError
from policies.entities import Role
from policies.resolver import Identity, Resolver

_KEY = re.compile(r"sk-(?:(demo-[a-z]+)|([A-Za-z0-9]{1,64})-[A-Za-z0-9_]{16,128})", re.ASCII)
_NO_KEY_SHA256 = "0" * 64


def key_id(presented: str) -> str | None:
    """The id in `sk-<id>-<secret>` or in a demo key `sk-demo-<name>`; None for what is no key at all."""
    match = _KEY.fullmatch(presented)
    return None if match is None else match[1] or match[2]


def sha256_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def authenticate(authorization: str | None, resolver: Resolver, *, demo: bool, now: datetime | None = None) -> Identity:
    """The identity behind an `Authorization` header, or a 401. What was sent is never repeated in the answer."""
    scheme, _, presented = (authorization or "").partition(" ")
    if not authorization or scheme.lower() != "bearer" or not presented.strip():
        raise _unauthorized("missing_api_key", "No API key: send the header 'Authorization: Bearer sk-…'.")
    presented = presented.strip()
    identifier = key_id(presented)
    identity = resolver.identity(identifier) if identifier else None
    if identity is not None and identity.key.demo and not demo:
        identity = None
    # Compared in constant time, and compared even where there is no such key, so that time tells nothing.
    expected = identity.key.sha256 if identity else _NO_KEY_SHA256
    if not hmac.compare_digest(sha256_of(presented), expected) or identity is None or identity.key.revoked:
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


def _unauthorized(code: str, message: str) -> HttpError:
    return HttpError(401, code, message, headers={"www-authenticate": "Bearer"})
