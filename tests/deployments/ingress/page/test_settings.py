"""`GET /page/settings`: open to everybody, so it tells nothing but what everybody may know."""

import importlib.metadata
from typing import Any

import httpx
import pytest

from deployments.ingress.authentication import sha256_of
from deployments.ingress.state import IngressState
from tests.deployments.ingress.conftest import use


def demo(key_id: str, **fields: Any) -> dict[str, Any]:
    return {"id": key_id, "user": "paula", "demo": True, "sha256": sha256_of(f"sk-{key_id}"), **fields}


@pytest.fixture
def keys(state: IngressState) -> None:
    """Demo keys of every kind, and one of somebody."""
    use(
        state,
        keys=[
            demo("demo-premium"),
            demo("demo-admin", role="admin"),
            demo("demo-revoked", revoked=True),
            demo("demo-expired", expires_at="2020-01-01T00:00:00Z"),
            demo("demo-other", sha256=sha256_of("sk-demo-something")),
            demo("Short1"),  # no key reads like this
            {"id": "mine1", "user": "paula", "sha256": sha256_of("sk-mine1-ssssssssssssssssssssssss")},
        ],
    )


async def test_demo_mode_tells_the_keys_that_work_now(
    client: httpx.AsyncClient, state: IngressState, keys: None
) -> None:
    object.__setattr__(state.settings, "demo", True)
    reply = await client.get("/page/settings", headers={"authorization": ""})
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    paula = {"tenant": "acme", "user": "paula", "band": "premium"}
    assert reply.json() == {
        "demo": True,
        "version": importlib.metadata.version("sluice"),
        "keys": [
            {"id": "demo-premium", "key": "sk-demo-premium", "role": "inference", **paula},
            {"id": "demo-admin", "key": "sk-demo-admin", "role": "admin", **paula},
        ],
        "bands": ["internal", "premium", "standard", "batch"],
    }
    for key in reply.json()["keys"]:
        works = await client.get("/v1/models", headers={"authorization": f"Bearer {key['key']}"})
        assert works.status_code == 200


async def test_without_the_demo_no_key_is_told(client: httpx.AsyncClient, keys: None) -> None:
    reply = await client.get("/page/settings", headers={"authorization": ""})
    assert (reply.status_code, reply.json()["demo"], reply.json()["keys"]) == (200, False, [])
    assert "sk-" not in reply.text


async def test_the_bands_are_in_the_order_that_is_configured(client: httpx.AsyncClient, state: IngressState) -> None:
    object.__setattr__(state.settings, "bands", ("batch", "internal"))
    assert (await client.get("/page/settings")).json()["bands"] == ["batch", "internal"]


async def test_before_there_is_a_catalogue(client: httpx.AsyncClient, state: IngressState) -> None:
    object.__setattr__(state.settings, "demo", True)
    use(state, keys=[], users=[], tenants=[])
    assert (await client.get("/page/settings")).json()["keys"] == []
