"""Lists: filters, pages, both sources in one order."""

from typing import Any

import httpx
import pytest

from tests.deployments.ingress.admin.conftest import ok, refused


async def pages(admin: httpx.AsyncClient, kind: str, **query: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list."""
    found, cursor = [], None
    while True:
        page = await ok(admin.get(f"/admin/{kind}", params={**query, **({"cursor": cursor} if cursor else {})}))
        found.append(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
async def test_pages_hold_everything_once_and_in_order(admin: httpx.AsyncClient, limit: int) -> None:
    for name in ("aaa", "b/b", "globex-2", "zzz"):
        await ok(admin.post("/admin/tenants", json={"name": name}))
    found = await pages(admin, "tenants", limit=limit)
    assert all(len(page) <= limit for page in found)
    items = [item for page in found for item in page]
    assert [(item["name"], item["source"]) for item in items] == [
        ("aaa", "api"),
        ("acme", "config"),
        ("b/b", "api"),
        ("globex", "config"),
        ("globex-2", "api"),
        ("zzz", "api"),
    ]


async def test_a_page_survives_the_deletion_of_its_last(admin: httpx.AsyncClient) -> None:
    for name in ("a", "b", "c"):
        await ok(admin.post("/admin/tiers", json={"name": name}))
    page = await ok(admin.get("/admin/tiers", params={"limit": 2, "source": "api"}))
    assert (await admin.delete("/admin/tiers/b")).status_code == 204
    rest = await ok(admin.get("/admin/tiers", params={"limit": 2, "source": "api", "cursor": page["next_cursor"]}))
    assert [item["name"] for item in rest["items"]] == ["c"]


@pytest.mark.parametrize(
    ("kind", "query", "names"),
    [
        ("tenants", {"source": "config"}, ["acme", "globex"]),
        ("tenants", {"source": "api"}, ["initech"]),
        ("tenants", {"qos_tier": "premium"}, ["acme"]),
        ("tenants", {"qos_tier": "batch"}, ["initech"]),
        ("users", {"tenant": "acme"}, ["paula", "peter"]),
        ("users", {"tenant": "initech"}, ["milton"]),
        ("users", {"tenant": "nobody"}, []),
        ("keys", {"user": "milton"}, ["milton1", "milton2"]),
        ("keys", {"tenant": "initech"}, ["milton1", "milton2"]),
        ("keys", {"tenant": "initech", "revoked": "true"}, ["milton2"]),
        ("keys", {"tenant": "initech", "revoked": "false"}, ["milton1"]),
        ("keys", {"role": "admin"}, ["admin1"]),
        ("keys", {"role": "operator", "source": "api"}, ["milton1"]),
        ("keys", {"model": "large", "tenant": "globex", "role": "inference", "revoked": "false"}, [
            "demo-x", "expired", "gus1"]),
        ("models", {"tier": "dear"}, ["acme/large-2", "ghost", "large"]),
        ("models", {"tier": "dear", "source": "api"}, ["acme/large-2"]),
        ("policies", {"scope": "TENANT"}, ["by-tenant", "of-acme"]),
        ("policies", {"unit": "output_tokens"}, ["by-model"]),
        ("policies", {"mode": "shadow"}, ["by-model"]),
        ("policies", {"tenant": "acme"}, ["of-acme"]),
        ("policies", {"model": "large"}, ["by-model"]),
        ("policies", {"tenant": "acme", "scope": "MODEL"}, []),
    ],
)  # fmt: skip
async def test_filters(admin: httpx.AsyncClient, kind: str, query: dict[str, str], names: list[str]) -> None:
    for path, body in {
        "tenants/initech": {"qos_tier": "batch"},
        "users/milton": {"tenant": "initech"},
        "users/peter": {"tenant": "acme"},
        "models/acme/large-2": {"tier": "dear"},
        "policies/by-tenant": {"scope": "TENANT", "limit": 1, "window": "1s"},
        "policies/of-acme": {"scope": "TENANT", "limit": 1, "window": "1s", "match": {"tenant": ["globex", "acme"]}},
        "policies/by-model": {
            "scope": "MODEL", "limit": 1, "window": "1s", "unit": "output_tokens", "mode": "shadow",
            "match": {"model": "large"},
        },
    }.items():  # fmt: skip
        await ok(admin.put(f"/admin/{path}", json=body))
    await ok(admin.post("/admin/keys", json={"user": "milton", "id": "milton1", "role": "operator"}))
    await ok(admin.post("/admin/keys", json={"user": "milton", "id": "milton2"}))
    await ok(admin.post("/admin/keys/milton2/revoke"))
    for limit in (1, 50):
        found = await pages(admin, kind, limit=limit, **query)
        assert [item.get("name", item.get("id")) for page in found for item in page] == names


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("tenants?tenent=acme", "tenent"),
        ("tenants?tenant=acme", "tenant"),  # a filter of other lists
        ("tiers?qos_tier=batch", "qos_tier"),
        ("keys?scope=GLOBAL", "scope"),
        ("audit?source=api", "source"),
    ],
)
async def test_an_unknown_filter_is_an_error(admin: httpx.AsyncClient, path: str, param: str) -> None:
    reply = await admin.get(f"/admin/{path}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "unknown_parameter")
    assert reply.json()["error"]["param"] == param


async def test_a_cursor_belongs_to_its_list(admin: httpx.AsyncClient) -> None:
    page = await ok(admin.get("/admin/tenants", params={"limit": 1}))
    for path in ("users", "audit"):
        message = await refused(
            admin.get(f"/admin/{path}", params={"cursor": page["next_cursor"]}), 400, "invalid_cursor"
        )
        assert path in message
    await refused(admin.get("/admin/tenants", params={"cursor": "x" * 600}), 422, "invalid_parameter")
