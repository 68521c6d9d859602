"""The audit log over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.deployments.ingress.admin.conftest import bearer, ok


@pytest.fixture
async def changed(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """Six changes."""
    await ok(admin.post("/admin/tenants", json={"name": "initech"}))
    await ok(admin.put("/admin/tenants/initech", json={"weight": 2}))
    await ok(admin.post("/admin/keys", json={"user": "gus", "id": "mine"}))
    await ok(admin.post("/admin/keys/mine/revoke", headers=bearer("operator1")))
    await ok(admin.put("/admin/tiers/new", json={}))
    assert (await admin.delete("/admin/tenants/initech")).status_code == 204
    return admin


async def test_who_what_when_from_what_to_what(changed: httpx.AsyncClient) -> None:
    entries = (await ok(changed.get("/admin/audit")))["items"]
    assert [(e["version"], e["action"], e["kind"], e["name"], e["before"], e["after"]) for e in entries] == [
        (6, "delete", "tenants", "initech", {"name": "initech", "weight": 2.0}, None),
        (5, "create", "tiers", "new", None, {"name": "new"}),
        (4, "revoke", "keys", "mine", {"id": "mine", "user": "gus"}, {"id": "mine", "user": "gus", "revoked": True}),
        (3, "issue", "keys", "mine", None, {"id": "mine", "user": "gus"}),
        (2, "update", "tenants", "initech", {"name": "initech"}, {"name": "initech", "weight": 2.0}),
        (1, "create", "tenants", "initech", None, {"name": "initech"}),
    ]
    assert entries[0]["actor"] == {"api_key": "admin1", "user": "paula", "tenant": "acme"}
    assert entries[2]["actor"] == {"api_key": "operator1", "user": "gus", "tenant": "globex"}
    times = [datetime.fromisoformat(entry["at"]) for entry in entries]
    assert times == sorted(times, reverse=True)
    assert abs(times[0] - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        ({"kind": "tenants"}, [6, 2, 1]),
        ({"name": "mine"}, [4, 3]),
        ({"kind": "tenants", "name": "mine"}, []),
        ({"actor": "operator1"}, [4]),
        ({"actor": "admin1", "kind": "keys"}, [3]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_filters_and_pages(
    changed: httpx.AsyncClient, query: dict[str, str], versions: list[int], limit: int
) -> None:
    found: list[int] = []
    asked: dict[str, Any] = {**query, "limit": limit}
    while True:
        page = await ok(changed.get("/admin/audit", params=asked))
        assert len(page["items"]) <= limit
        found += [entry["version"] for entry in page["items"]]
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
    assert found == versions


async def test_pages_hold_still_while_others_write(changed: httpx.AsyncClient) -> None:
    first = await ok(changed.get("/admin/audit", params={"limit": 4}))
    await ok(changed.put("/admin/tiers/newer", json={}))
    rest = await ok(changed.get("/admin/audit", params={"limit": 4, "cursor": first["next_cursor"]}))
    assert [e["version"] for e in first["items"] + rest["items"]] == [6, 5, 4, 3, 2, 1]
