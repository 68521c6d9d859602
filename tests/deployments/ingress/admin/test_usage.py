"""`GET /admin/usage`: by tenant, by policy, and as a key itself sees it."""

from typing import Any

import httpx
import pytest

from deployments.ingress.state import IngressState
from tests.deployments.ingress.admin.conftest import bearer, ok, refused
from tests.deployments.ingress.conftest import CATALOGUE, use

POLICIES = [
    {"name": "tenant", "scope": "TENANT", "limit": 10, "window": "1m"},
    {"name": "key", "scope": "API_KEY", "unit": "total_tokens", "limit": 10_000, "window": "1m"},
    {"name": "all", "scope": "GLOBAL", "limit": 100, "window": "1m", "shards": 2},
    {"name": "resting", "scope": "TENANT", "limit": 1, "window": "1m", "mode": "off"},
]


@pytest.fixture
async def used(admin: httpx.AsyncClient, state: IngressState) -> httpx.AsyncClient:
    """Two requests of gus1 (globex), one of paula1 (acme)."""
    use(state, *POLICIES, keys=[*CATALOGUE["keys"], *_keys(state)])
    for key in ("gus1", "gus1", "paula1"):
        body = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
        await ok(admin.post("/v1/chat/completions", json=body, headers=bearer(key)))
    await state.settlement.close()
    return admin


def _keys(state: IngressState) -> list[dict[str, Any]]:
    keys = [key for key in state.live.config.keys if key.role in ("operator", "gateway")]
    return [key.model_dump(mode="json") for key in keys]


async def rows(client: httpx.AsyncClient, **query: Any) -> set[tuple[str, str, int]]:
    found: set[tuple[str, str, int]] = set()
    cursor: dict[str, str] = {}
    while True:
        page = await ok(client.get("/admin/usage", params={**query, **cursor}))
        assert len(page["items"]) <= query.get("limit", 50)
        new = {(w["policy"], w["subject"], w["used"]) for w in page["items"] if w["policy"] != "key"}
        new |= {("key", w["subject"], 0) for w in page["items"] if w["policy"] == "key"}
        assert query.get("limit") != 1 or not new & found or ("all", "", 1) in new
        found |= new
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


GLOBEX, ACME = {("tenant", "globex", 2), ("key", "gus1", 0)}, {("tenant", "acme", 1), ("key", "paula1", 0)}


async def test_by_tenant_and_policy(used: httpx.AsyncClient) -> None:
    assert await rows(used, tenant="globex") == GLOBEX
    assert await rows(used, tenant="acme", limit=1) == ACME
    assert await rows(used, policy="tenant") == {("tenant", "globex", 2), ("tenant", "acme", 1)}
    assert await rows(used, tenant="globex", policy="tenant") == {("tenant", "globex", 2)}
    everything = await rows(used, limit=1)
    assert {row for row in everything if row[0] != "all"} == GLOBEX | ACME
    assert await rows(used, tenant="nobody") == set()


async def test_what_a_window_says(used: httpx.AsyncClient) -> None:
    (window,) = (await ok(used.get("/admin/usage", params={"tenant": "globex", "policy": "tenant"})))["items"]
    assert 0 < window.pop("reset_after_s") <= 60
    assert window == {
        "policy": "tenant",
        "scope": "TENANT",
        "subject": "globex",
        "unit": "requests",
        "limit": 10,
        "window_s": 60.0,
        "used": 2,
        "remaining": 8,
        "enforced": True,
        "shard": None,
    }


async def test_a_key_as_it_sees_itself(used: httpx.AsyncClient) -> None:
    theirs = (await ok(used.get("/v1/limits", headers=bearer("gus1"))))["windows"]
    page = await ok(used.get("/admin/usage", params={"api_key": "gus1"}))
    ours = [{name: w[name] for name in theirs[0] if name != "reset_after_s"} for w in page["items"]]
    for window in theirs:
        if window["policy"] != "all":
            window.pop("reset_after_s")
            assert window in ours
    assert [(w["policy"], w["shard"]) for w in page["items"]] == [
        ("all", 0),
        ("all", 1),
        ("key", None),
        ("tenant", None),
    ]
    assert sum(w["used"] for w in page["items"] if w["policy"] == "all") == 3
    paged = []
    cursor: dict[str, str] = {}
    for _ in range(4):
        page = await ok(used.get("/admin/usage", params={"api_key": "gus1", "limit": 1, **cursor}))
        paged += page["items"]
        cursor = {"cursor": page["next_cursor"]}
    assert page["next_cursor"] is None
    assert [w["policy"] for w in paged] == ["all", "all", "key", "tenant"]


async def test_who_may(used: httpx.AsyncClient) -> None:
    await ok(used.get("/admin/usage", headers=bearer("operator1")))
    for key in ("gus1", "gateway1"):
        await refused(used.get("/admin/usage", headers=bearer(key)), 403, "wrong_role")


async def test_wrong_questions(used: httpx.AsyncClient) -> None:
    await refused(used.get("/admin/usage", params={"api_key": "nobody"}), 404, "not_found")
    await refused(used.get("/admin/usage", params={"api_key": "gus1", "tenant": "globex"}), 422, "invalid_parameter")
    await refused(used.get("/admin/usage", params={"user": "gus"}), 422, "unknown_parameter")
    for cursor in ("eA", "WyJ1c2FnZSIsIngiXQ", "WyJ0ZW5hbnRzIiwieCJd", "WyJ1c2FnZSIsIlsxXSJd"):
        await refused(used.get("/admin/usage", params={"cursor": cursor}), 400, "invalid_cursor")
        await refused(used.get("/admin/usage", params={"cursor": cursor, "api_key": "gus1"}), 400, "invalid_cursor")
