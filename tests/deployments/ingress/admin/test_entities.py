"""Tenants, users, tiers, models and policies over HTTP."""

import asyncio
import re
from typing import Any

import httpx
import orjson
import pytest

from deployments.ingress.admin.examples import EXAMPLES
from deployments.ingress.state import IngressState
from policies.catalogue import Catalogue, Kind
from tests.deployments.ingress.admin.conftest import ok, refused
from tests.deployments.ingress.conftest import CATALOGUE, use

ENTITIES: dict[str, dict[str, Any]] = {
    "tenants": {"name": "initech", "qos_tier": "batch", "weight": 2.5},
    "users": {"name": "milton", "tenant": "acme"},
    "tiers": {"name": "medium"},
    "models": {"name": "acme/medium-7b", "tier": "cheap", "aliases": ["mid"], "max_output_tokens": 16},
    "policies": {"name": "team/burst", "scope": "TENANT", "limit": 3, "window": "1m30s", "match": {"tenant": "acme"}},
}
REPLACED: dict[str, dict[str, Any]] = {
    "tenants": {"qos_tier": "premium"},
    "users": {"tenant": "globex"},
    "tiers": {},
    "models": {"tier": "dear"},
    "policies": {"scope": "GLOBAL", "limit": 4, "window": 1000},
}


@pytest.mark.parametrize("kind", ENTITIES)
async def test_the_life_of_an_entity(admin: httpx.AsyncClient, kind: str) -> None:
    entity = ENTITIES[kind]
    path = f"/admin/{kind}/{entity['name']}"

    created = await admin.post(f"/admin/{kind}", json=entity)
    assert (created.status_code, created.headers["location"], created.headers["etag"]) == (201, path, '"1"')
    body = created.json()
    assert (body["source"], body["version"], body["problem"]) == ("api", 1, None)
    assert body["name"] == entity["name"]

    read = await admin.get(path)
    assert (read.json(), read.headers["etag"]) == (body, '"1"')
    assert (await admin.get(path.replace("/", "%2F").replace("%2F", "/", 3))).json() == body
    assert (await admin.get(path, headers={"if-none-match": '"1"'})).status_code == 304
    assert (await admin.get(path, headers={"if-none-match": 'W/"1", "7"'})).status_code == 304
    assert (await admin.get(path, headers={"if-none-match": '"7"'})).status_code == 200

    replaced = await admin.put(path, json=REPLACED[kind])
    assert (replaced.status_code, replaced.headers["etag"]) == (200, '"2"')
    assert "location" not in replaced.headers
    assert replaced.json().items() >= {"name": entity["name"], "version": 2}.items()
    listed = await ok(admin.get(f"/admin/{kind}", params={"source": "api"}))
    assert listed == {"items": [replaced.json()], "next_cursor": None}

    assert (await admin.delete(path)).status_code == 204
    assert "does not exist" in await refused(admin.delete(path), 404, "not_found")
    await refused(admin.get(path), 404, "not_found")
    back = await admin.put(path, json=entity)
    assert (back.status_code, back.headers["location"]) == (201, path)
    assert {**back.json(), "version": 1} == body


async def test_the_name_in_a_body_is_the_paths(admin: httpx.AsyncClient) -> None:
    assert (await admin.put("/admin/tiers/new", json={"name": "new"})).status_code == 201
    message = await refused(admin.put("/admin/tiers/new", json={"name": "other"}), 409, "name_mismatch")
    assert "'other'" in message
    assert "'new'" in message
    await refused(admin.get("/admin/tiers/other"), 404, "not_found")


async def test_what_is_there_is_not_created_again(admin: httpx.AsyncClient) -> None:
    await ok(admin.post("/admin/tiers", json={"name": "new"}))
    assert "'new' exists already" in await refused(
        admin.post("/admin/tiers", json={"name": "new"}), 409, "already_exists"
    )
    message = await refused(
        admin.post("/admin/models", json={"name": "x", "tier": "new", "aliases": ["default"]}), 409, "already_exists"
    )
    assert "'default'" in message


@pytest.mark.parametrize(
    ("kind", "body", "named"),
    [
        ("users", {"name": "x", "tenant": "nobody"}, "tenant 'nobody'"),
        ("models", {"name": "x", "tier": "none"}, "tier 'none'"),
        ("tenants", {"name": "x", "qos_tier": "gold"}, "'gold'"),
        ("policies", {"name": "x", "scope": "MODEL", "limit": 1, "window": "1s", "match": {"model": "m"}}, "model 'm'"),
        ("keys", {"user": "nobody"}, "user 'nobody'"),
        ("keys", {"user": "gus", "models": ["m"]}, "model 'm'"),
    ],
)
async def test_references_must_lead_somewhere(
    admin: httpx.AsyncClient, kind: str, body: dict[str, Any], named: str
) -> None:
    assert named in await refused(admin.post(f"/admin/{kind}", json=body), 409, "unknown_reference")
    assert (await ok(admin.get("/admin/catalogue")))["version"] == 0


async def test_what_is_named_is_not_deleted(admin: httpx.AsyncClient) -> None:
    await ok(admin.post("/admin/tenants", json={"name": "initech"}))
    await ok(admin.post("/admin/users", json={"name": "milton", "tenant": "initech"}))
    assert "user 'milton'" in await refused(admin.delete("/admin/tenants/initech"), 409, "in_use")
    assert (await admin.delete("/admin/users/milton")).status_code == 204
    assert (await admin.delete("/admin/tenants/initech")).status_code == 204


@pytest.mark.parametrize(
    ("kind", "name", "body"),
    [
        ("tenants", "acme", {}),
        ("users", "paula", {"tenant": "acme"}),
        ("tiers", "cheap", {}),
        ("models", "small", {"tier": "cheap"}),
        ("keys", "gus1", {"user": "gus"}),
    ],
)
async def test_the_configuration_is_read_only(
    admin: httpx.AsyncClient, kind: str, name: str, body: dict[str, Any]
) -> None:
    path = f"/admin/{kind}/{name}"
    read = await admin.get(path)
    assert (read.json()["source"], read.json()["version"]) == ("config", 0)
    assert read.headers["etag"].startswith('"config-')
    changes = [
        admin.put(path, json=body),
        admin.put(path, json=body, headers={"if-match": read.headers["etag"]}),
        admin.put(path, json=body, headers={"if-match": "*"}),
        admin.delete(path),
    ]
    if kind == "keys":
        changes += [admin.post(f"{path}/rotate"), admin.post(f"{path}/revoke")]
    else:
        changes.append(admin.post(f"/admin/{kind}", json={"name": name, **body}))
    for change in changes:
        message = await refused(change, 409, "managed_by_configuration")
        assert "configuration file" in message
        assert repr(name) in message
    await refused(admin.put(path, json=body, headers={"if-match": '"config-00000000"'}), 412, "version_conflict")
    assert await ok(admin.get("/admin/audit")) == {"items": [], "next_cursor": None}


async def test_a_configuration_that_takes_a_name_shadows_it(admin: httpx.AsyncClient, state: IngressState) -> None:
    await ok(admin.post("/admin/tiers", json={"name": "new"}))
    use(state, tiers=[*CATALOGUE["tiers"], {"name": "new"}])
    assert (await ok(admin.get("/admin/tiers/new")))["source"] == "config"
    both = [t for t in (await ok(admin.get("/admin/tiers")))["items"] if t["name"] == "new"]
    assert [(t["source"], bool(t["problem"])) for t in both] == [("config", False), ("api", True)]
    assert "tier 'new'" in (await ok(admin.get("/admin/catalogue")))["problems"][0]
    assert (await admin.delete("/admin/tiers/new")).status_code == 204  # what has no effect can be removed
    assert (await ok(admin.get("/admin/catalogue")))["problems"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "param", "said"),
    [
        ("POST", "tenants", {"name": "x", "wieght": 1}, "wieght", "did you mean 'weight'"),
        ("POST", "tenants", {"name": "x", "weight": "1"}, "weight", "valid number (got '1')"),
        ("POST", "tenants", {"name": "x", "weight": 0}, "weight", "greater than 0"),
        ("POST", "tenants", {}, "name", "body.name: missing"),
        ("POST", "tenants", {"name": "-x"}, "name", "pattern"),
        ("POST", "tenants", [], None, "mapping"),
        ("POST", "users", {"name": "x", "tenant": 1}, "tenant", "valid string"),
        ("PUT", "tenants/x", {"weight": True}, "weight", "valid number"),
        ("PUT", "policies/x", {"scope": "TENANT", "limit": 1}, None, "window: missing"),
        ("PUT", "policies/x", {"scope": "TENANT", "limit": "1", "window": "1s"}, "limit", "valid integer"),
        ("PUT", "policies/x", {"scope": "TENANT", "limit": 1, "window": "soon"}, "window", "is not a duration"),
        ("PUT", "policies/x", {"scope": "tenant", "limit": 1, "window": "1s"}, "scope", "'TENANT'"),
        ("PUT", "policies/x", {"scope": "TENANT", "limit": 1, "window": "1s", "match": {"tenent": "a"}},
         "match.tenent", "did you mean 'tenant'"),
        ("POST", "keys", {"user": "gus", "expires_at": "2030-01-01T00:00:00"}, "expires_at", "needs its zone"),
        ("POST", "keys", {"user": "gus", "expires_at": 0}, "expires_at", "datetime"),
        ("POST", "keys", {"user": "gus", "expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at", "9999"),
        ("POST", "keys", {"user": "gus", "role": "root"}, "role", "'admin'"),
        ("POST", "keys", {"user": "gus", "id": "a-b"}, "id", "pattern"),
        ("GET", "tenants?limit=0", None, "limit", "greater than or equal to 1"),
        ("GET", "tenants?limit=1001", None, "limit", "less than or equal to 1000"),
        ("GET", "tenants?qos_tier=gold", None, "qos_tier", "'premium'"),
        ("GET", "keys?revoked=maybe", None, "revoked", "boolean"),
        ("GET", "tenants/-x", None, "name", "pattern"),
        ("GET", "keys/a-b", None, "id", "pattern"),
    ],
)  # fmt: skip
async def test_wrong_input_is_told_with_its_place(
    admin: httpx.AsyncClient, method: str, path: str, body: Any, param: str | None, said: str
) -> None:
    reply = await admin.request(method, f"/admin/{path}", json=body)
    assert said in await refused(asyncio.sleep(0, reply), 422, "invalid_parameter")
    assert reply.json()["error"]["param"] == param


async def test_bodies_are_bounded_json(admin: httpx.AsyncClient) -> None:
    json = {"content-type": "application/json"}
    await refused(admin.post("/admin/tiers", content=b'{"name": ', headers=json), 400, "invalid_json")
    await refused(admin.post("/admin/tiers", content=b'{"name": "\\ud800"}', headers=json), 400, "invalid_json")
    await refused(admin.post("/admin/tiers", content=b"", headers=json), 400, "invalid_json")
    for other in ({"content-type": "application/x-www-form-urlencoded"}, {"content-type": "text/plain"}, {}):
        message = await refused(
            admin.post("/admin/tiers", content=b'{"name": "x"}', headers=other), 415, "unsupported_media_type"
        )
        assert "Content-Type: application/json" in message
    await refused(admin.post("/admin/tiers", content=b" " * (1 << 18) + b"{}", headers=json), 413, "body_too_large")
    assert (
        await admin.post(
            "/admin/tiers", content=b'{"name": "x"}', headers={"content-type": "application/json; charset=utf-8"}
        )
    ).status_code == 201


async def test_methods_that_a_path_does_not_take(admin: httpx.AsyncClient) -> None:
    for method, path, allow in [
        ("PATCH", "tenants/acme", "GET, PUT, DELETE"),
        ("DELETE", "tenants", "GET, POST"),
        ("GET", "keys/gus1/revoke", "POST"),
        ("PUT", "imports", "POST"),
    ]:
        reply = await admin.request(method, f"/admin/{path}")
        assert (reply.status_code, reply.headers["allow"]) == (405, allow)


async def test_the_examples_are_a_catalogue_that_works(admin: httpx.AsyncClient, state: IngressState) -> None:
    admin_alone = {"tenants": CATALOGUE["tenants"][:1], "users": CATALOGUE["users"][:1]}
    names = {"acme": "initech", "paula": "milton"}  # those of the example stand in the configuration that has the admin
    state.use(Catalogue.parse({**admin_alone, "keys": [k for k in CATALOGUE["keys"] if k["id"] == "admin1"]}))
    for kind in (Kind.TIERS, Kind.TENANTS, Kind.USERS, Kind.MODELS, Kind.POLICIES, Kind.KEYS):
        example = orjson.loads(re.sub("acme|paula", lambda m: names[m[0]], orjson.dumps(EXAMPLES[kind]).decode()))
        await ok(admin.post(f"/admin/{kind}", json=example))


async def test_every_field_of_a_policy(admin: httpx.AsyncClient) -> None:
    policy = {
        "name": "all",
        "scope": "MODEL_TIER",
        "unit": "total_tokens",
        "limit": 1000,
        "window": "1m30s",
        "match": {"tenant": ["acme", "globex"], "qos_tier": "premium", "user": None},
        "per": ["tenant", "model"],
        "mode": "shadow",
        "on_redis_failure": "local",
        "block": {"denials": 3, "within": "1m", "duration": 600_000},
        "shards": 1,
    }
    shown = await ok(admin.post("/admin/policies", json=policy))
    given = {k: v for k, v in policy.items() if k not in ("match", "block")}
    assert shown.items() >= given.items()
    assert {k: v for k, v in shown["match"].items() if v} == {"tenant": ["acme", "globex"], "qos_tier": ["premium"]}
    assert shown["block"] == {"denials": 3, "within": "1m", "duration": "10m"}


async def test_a_change_is_in_use_when_it_is_answered(admin: httpx.AsyncClient, state: IngressState) -> None:
    for limit in (1, 2, 3):
        policy = {"scope": "GLOBAL", "limit": limit, "window": "1m"}
        reply = await admin.put("/admin/policies/all", json=policy)
        assert state.live.version == reply.json()["version"]
        used = state.live.resolver.policy("all")
        assert used is not None
        assert used.limit == limit
