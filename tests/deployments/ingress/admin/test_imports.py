"""Imports over HTTP: staged, planned, committed; and an export comes back as it was."""

import asyncio
import hashlib
import json
from typing import Any

import httpx
import pytest

from deployments.ingress.state import IngressState
from tests.deployments.ingress.admin.conftest import ok, refused

PART: dict[str, Any] = {
    "tenants": [{"name": "initech"}],
    "users": [{"name": "milton", "tenant": "initech"}],
    "keys": [{"id": "milton1", "user": "milton", "sha256": hashlib.sha256(b"sk-milton1-" + b"m" * 24).hexdigest()}],
    "policies": [{"name": "p", "scope": "TENANT", "limit": 5, "window": "10s", "match": {"tenant": "initech"}}],
}


async def begun(admin: httpx.AsyncClient, *parts: dict[str, Any]) -> str:
    """The path of an import with these parts."""
    reply = await admin.post("/admin/imports")
    assert reply.status_code == 201
    path = reply.headers["location"]
    assert path == f"/admin/imports/{reply.json()['id']}"
    for number, part in enumerate(parts):
        taken = await ok(admin.put(f"{path}/parts/{number}", json=part))
        assert taken == {"entities": sum(map(len, part.values()))}
    return path


async def done(admin: httpx.AsyncClient, path: str, *, prune: bool = False) -> dict[str, Any]:
    """Plans and commits it, and waits for its end; the plan."""
    planned = await admin.post(f"{path}/plan", params={"prune": "true"} if prune else {})
    plan: dict[str, Any] = planned.json()
    assert plan["problems"] == []
    assert planned.headers["etag"] == f'"{plan["version"]}"'
    committed = await admin.post(f"{path}/commit", headers={"if-match": planned.headers["etag"]})
    assert committed.status_code == 202
    async with asyncio.timeout(60):
        while (state := await ok(admin.get(path)))["state"] != "done":
            await asyncio.sleep(0.01)
    assert state["done"] == state["total"] == plan["create"] + plan["update"] + plan["delete"]
    return plan


async def test_an_import_is_staged_planned_and_committed(admin: httpx.AsyncClient, state: IngressState) -> None:
    path = await begun(admin, PART)
    assert (await ok(admin.get(path)))["state"] == "staging"
    plan = await ok(admin.post(f"{path}/plan"))
    assert {k: v for k, v in plan.items() if k not in ("differences", "problems")} == {
        "version": 0,
        "create": 4,
        "update": 0,
        "delete": 0,
        "unchanged": 0,
    }
    assert plan["differences"][0] == {
        "kind": "tenants",
        "name": "initech",
        "action": "create",
        "before": None,
        "after": {"name": "initech"},
    }
    assert (await ok(admin.get(path))) == {"id": path[-16:], "state": "planned", "done": 0, "total": 4}
    await refused(admin.get("/admin/tenants/initech"), 404, "not_found")  # nothing yet

    await done(admin, path)
    assert (await ok(admin.get("/admin/tenants/initech")))["source"] == "api"
    entries = (await ok(admin.get("/admin/audit")))["items"]
    assert [(e["action"], e["actor"]["api_key"]) for e in entries] == [("import", "admin1")] * 4
    await state.live.seen(4, 5)
    key = {"authorization": "Bearer sk-milton1-" + "m" * 24}
    assert (await admin.get("/v1/models", headers=key)).status_code == 200

    again = await done(admin, await begun(admin, PART))
    assert (again["create"], again["update"], again["unchanged"]) == (0, 0, 4)


async def test_what_an_export_says_comes_back(admin: httpx.AsyncClient) -> None:
    await done(admin, await begun(admin, PART))
    await ok(admin.put("/admin/models/acme/large-2", json={"tier": "dear", "aliases": ["two"], "pool": "large"}))
    await ok(admin.post("/admin/keys/milton1/rotate", json={"overlap": "1h"}))
    exported = (await admin.get("/admin/export")).text
    part: dict[str, list[Any]] = {}
    for line in exported.splitlines():
        part.setdefault(json.loads(line)["kind"], []).append(json.loads(line)["entity"])

    nothing = await done(admin, await begun(admin), prune=True)
    assert nothing["delete"] == 5
    assert (await admin.get("/admin/export")).text == ""
    await done(admin, await begun(admin, *({kind: entities} for kind, entities in part.items())))
    assert (await admin.get("/admin/export")).text == exported


async def test_a_catalogue_that_has_moved_on_is_planned_again(admin: httpx.AsyncClient) -> None:
    path = await begun(admin, PART)
    await ok(admin.post(f"{path}/plan"))
    await ok(admin.put("/admin/tiers/new", json={}))
    message = await refused(admin.post(f"{path}/commit", headers={"if-match": '"0"'}), 412, "version_conflict")
    assert "plan again" in message
    await refused(admin.get("/admin/tenants/initech"), 404, "not_found")
    assert (await done(admin, path))["version"] == 1


async def test_a_commit_needs_the_plans_version(admin: httpx.AsyncClient) -> None:
    path = await begun(admin, PART)
    assert "plan it first" in await refused(admin.post(f"{path}/commit", headers={"if-match": '"0"'}), 409, "refused")
    await ok(admin.post(f"{path}/plan"))
    await refused(admin.post(f"{path}/commit"), 428, "precondition_required")
    for value in ("*", '"x"', '"0", "1"', 'W/"0"'):
        await refused(admin.post(f"{path}/commit", headers={"if-match": value}), 412, "version_conflict")
    await refused(admin.post(f"{path}/commit", headers={"if-match": "0"}), 400, "invalid_header")
    await done(admin, path)
    await refused(admin.put(f"{path}/parts/9", json={}), 409, "refused")


async def test_a_plan_tells_what_is_wrong_with_the_whole(admin: httpx.AsyncClient) -> None:
    path = await begun(admin, {"users": [{"name": "milton", "tenant": "nobody"}], "tenants": [{"name": "acme"}]})
    plan = await ok(admin.post(f"{path}/plan"))
    assert len(plan["problems"]) == 2
    assert "'nobody'" in "".join(plan["problems"])
    assert "configuration" in "".join(plan["problems"])
    await refused(admin.post(f"{path}/commit", headers={"if-match": '"0"'}), 409, "refused")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"tenents": []}, "did you mean 'tenants'"),
        ({"tenants": {}}, "must be a list"),
        ({"tenants": [{"name": "x", "weight": "2"}]}, "body.tenants[0].weight"),
        ({"keys": [{"id": "x", "user": "gus", "sha256": "AB"}]}, "body.keys[0].sha256"),
        ({"tiers": [{"name": "x"}, {"name": "x"}]}, "used twice"),
    ],
)
async def test_a_wrong_part_is_refused(admin: httpx.AsyncClient, part: dict[str, Any], said: str) -> None:
    path = await begun(admin)
    assert said in await refused(admin.put(f"{path}/parts/1", json=part), 422, "invalid_parameter")


async def test_parts_are_as_large_as_any_body(admin: httpx.AsyncClient, state: IngressState) -> None:
    path = await begun(admin, {"tiers": [{"name": f"t{n:010}"} for n in range(40_000)]})
    assert (await ok(admin.get(path)))["state"] == "staging"
    longer = b" " * state.settings.max_body_bytes + b"{}"
    headers = {"content-type": "application/json"}
    await refused(admin.put(f"{path}/parts/1", content=longer, headers=headers), 413, "body_too_large")


async def test_an_import_that_is_not_there(admin: httpx.AsyncClient) -> None:
    for method, end in (("GET", ""), ("PUT", "/parts/1"), ("POST", "/plan"), ("POST", "/commit")):
        body = {"json": {}} if method == "PUT" else {"headers": {"if-match": '"0"'}}
        await refused(admin.request(method, f"/admin/imports/0123456789abcdef{end}", **body), 404, "not_found")
    for path in ("x", "0123456789abcdef/parts/-1", "0123456789abcdef/parts/x"):
        reply = await admin.request("PUT" if "parts" in path else "GET", f"/admin/imports/{path}", json={})
        assert reply.status_code == 422
