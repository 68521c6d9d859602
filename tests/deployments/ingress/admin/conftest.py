"""The admin API over HTTP: the app without Ray, a real Redis, and a key of each role in the configuration."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from deployments.ingress.app import create_app
from deployments.ingress.authentication import sha256_of
from deployments.ingress.state import IngressState
from tests.deployments.ingress.conftest import CATALOGUE, secret, use

ROLES = {"inference": "gus1", "admin": "admin1", "operator": "operator1", "gateway": "gateway1"}
"""The id of a key of each role."""


def bearer(key_id: str) -> dict[str, str]:
    """The header that presents a key of the configuration."""
    return {"authorization": f"Bearer {secret(key_id)}"}


@pytest.fixture
async def admin(state: IngressState) -> AsyncIterator[httpx.AsyncClient]:
    """A client that presents an admin's key."""
    more = [
        {"id": key_id, "user": "gus", "role": role, "sha256": sha256_of(secret(key_id))}
        for role, key_id in ROLES.items()
        if role in ("operator", "gateway")
    ]
    use(state, keys=[*CATALOGUE["keys"], *more])
    object.__setattr__(state.settings, "max_body_bytes", 1 << 20)
    transport = httpx.ASGITransport(create_app(state), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice", headers=bearer("admin1")) as client:
        yield client


async def ok(reply_of: Any) -> Any:
    """The body of a reply that must be a success."""
    reply: httpx.Response = await reply_of
    assert reply.is_success, (reply.status_code, reply.text)
    return reply.json() if reply.content else None


async def refused(reply_of: Any, status: int, code: str) -> str:
    """The message of a reply that must be this error, in OpenAI's shape."""
    reply: httpx.Response = await reply_of
    assert reply.status_code == status, (reply.status_code, reply.text)
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code, error
    message: str = error["message"]
    return message
