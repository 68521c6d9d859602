"""API keys over HTTP: issued, used, rotated, revoked; and never seen again."""

import asyncio
import hashlib
import logging
import re
from typing import Any, cast

import httpx
import pytest

from deployments.ingress.state import IngressState
from policies.catalogue import Actor, Kind, Stored
from policies.catalogue.store import Head
from policies.entities import ApiKey
from policies.errors import StoreUnavailableError
from tests.deployments.ingress.admin.conftest import bearer, ok, refused

REQUEST = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}


async def works(client: httpx.AsyncClient, secret: str) -> int:
    """The status of a request with this key."""
    headers = {"authorization": f"Bearer {secret}"}
    return (await client.post("/v1/chat/completions", json=REQUEST, headers=headers)).status_code


async def test_the_life_of_a_key(admin: httpx.AsyncClient) -> None:
    issued = await admin.post("/admin/keys", json={"user": "gus"})
    secret, key = issued.json()["secret"], issued.json()["key"]
    assert re.fullmatch(rf"sk-{key['id']}-[A-Za-z0-9]{{32,128}}", secret)
    assert re.fullmatch(r"[A-Za-z0-9]{16}", key["id"])
    path = f"/admin/keys/{key['id']}"
    assert (issued.status_code, issued.headers["location"]) == (201, path)
    assert issued.headers["cache-control"] == "no-store"
    assert (key["user"], key["role"], key["models"], key["revoked"]) == ("gus", "inference", None, False)
    assert await works(admin, secret) == 200
    assert (await admin.get(path)).json() == key

    rotated = await admin.post(f"{path}/rotate", json={"overlap": "1h"})
    second = rotated.json()["secret"]
    assert second != secret
    assert second.startswith(f"sk-{key['id']}-")
    assert rotated.json()["key"]["previous_until"] is not None
    assert [await works(admin, each) for each in (secret, second)] == [200, 200]

    third = (await ok(admin.post(f"{path}/rotate", json={"overlap": "100ms"})))["secret"]
    await asyncio.sleep(0.2)
    assert [await works(admin, each) for each in (secret, second, third)] == [401, 401, 200]
    fourth = (await ok(admin.post(f"{path}/rotate", json={"overlap": "0s"})))["secret"]
    assert [await works(admin, each) for each in (third, fourth)] == [401, 200]

    revoked = await admin.post(f"{path}/revoke", headers=bearer("operator1"))
    assert (revoked.status_code, revoked.json()["revoked"]) == (200, True)
    assert await works(admin, fourth) == 401
    again = await admin.post(f"{path}/revoke")
    assert (again.status_code, again.json()) == (200, revoked.json())

    assert "is revoked" in await refused(admin.post(f"{path}/rotate"), 409, "refused")
    assert (await ok(admin.put(path, json={"user": "gus"})))["revoked"] is True
    assert await works(admin, fourth) == 401
    entries = (await ok(admin.get("/admin/audit", params={"name": key["id"]})))["items"]
    made = [(entry["action"], entry["actor"]["api_key"]) for entry in reversed(entries)]
    assert made[:1] + made[4:5] == [("issue", "admin1"), ("revoke", "operator1")]
    assert made[1:4] == [("rotate", "admin1")] * 3
    assert (await admin.delete(path)).status_code == 204
    assert await works(admin, fourth) == 401


async def test_a_rotation_overlaps_for_a_day_unless_told_otherwise(admin: httpx.AsyncClient) -> None:
    issued = await ok(admin.post("/admin/keys", json={"user": "gus", "id": "mine"}))
    for body in ({"content": b""}, {"json": {}}):
        rotated = await ok(admin.post("/admin/keys/mine/rotate", **body))
        assert rotated["key"]["previous_until"] > "2026"
    assert await works(admin, issued["secret"]) == 401  # only one secret before the last is kept
    for overlap in ("32d", "-1s", "soon", -1, 1.5, True, None):
        await refused(admin.post("/admin/keys/mine/rotate", json={"overlap": overlap}), 422, "invalid_parameter")


async def test_what_a_key_may_do_is_changed(admin: httpx.AsyncClient) -> None:
    issued = await admin.post(
        "/admin/keys",
        json={"user": "gus", "id": "mine", "models": ["large"], "expires_at": "2990-01-01T00:00:00+01:00"},
    )
    secret = issued.json()["secret"]
    assert issued.json()["key"]["expires_at"] == "2989-12-31T23:00:00Z"
    assert await works(admin, secret) == 403
    changed = await admin.put(
        "/admin/keys/mine", json={"user": "paula", "models": ["small"]}, headers={"if-match": issued.headers["etag"]}
    )
    assert changed.status_code == 200
    assert (changed.json()["user"], changed.json()["models"], changed.json()["expires_at"]) == (
        "paula",
        ["small"],
        None,
    )
    assert await works(admin, secret) == 200
    await refused(
        admin.put("/admin/keys/mine", json={"user": "gus"}, headers={"if-match": issued.headers["etag"]}),
        412,
        "version_conflict",
    )
    await ok(admin.put("/admin/keys/mine", json={"user": "paula", "expires_at": "2020-01-01T00:00:00Z"}))
    assert await works(admin, secret) == 401
    await ok(admin.put("/admin/keys/mine", json={"user": "paula", "role": "operator"}))
    assert await works(admin, secret) == 403
    assert (await admin.get("/admin/keys", headers={"authorization": f"Bearer {secret}"})).status_code == 200


async def test_a_key_is_made_by_issuing_alone(admin: httpx.AsyncClient) -> None:
    assert "does not exist" in await refused(admin.put("/admin/keys/mine", json={"user": "gus"}), 404, "not_found")
    await ok(admin.post("/admin/keys", json={"user": "gus", "id": "mine"}))
    await refused(admin.post("/admin/keys", json={"user": "gus", "id": "mine"}), 409, "already_exists")
    await refused(admin.post("/admin/keys/other/rotate"), 404, "not_found")
    await refused(admin.post("/admin/keys/other/revoke"), 404, "not_found")
    for field in ("sha256", "revoked", "demo", "secret", "previous_sha256"):
        await refused(admin.post("/admin/keys", json={"user": "gus", field: "x"}), 422, "invalid_parameter")


async def test_rotation_honours_conditions(admin: httpx.AsyncClient) -> None:
    issued = await admin.post("/admin/keys", json={"user": "gus", "id": "mine"})
    condition = {"if-match": issued.headers["etag"]}
    assert (await admin.post("/admin/keys/mine/rotate", headers=condition)).status_code == 200
    await refused(admin.post("/admin/keys/mine/rotate", headers=condition), 412, "version_conflict")
    await refused(admin.post("/admin/keys/mine/revoke", headers=condition), 412, "version_conflict")
    await refused(admin.delete("/admin/keys/mine", headers=condition), 412, "version_conflict")
    assert (await admin.post("/admin/keys/mine/revoke", headers={"if-match": "*"})).status_code == 200


async def test_a_revocation_is_not_undone_by_a_change_under_way(admin: httpx.AsyncClient) -> None:
    await ok(admin.post("/admin/keys", json={"user": "gus", "id": "mine"}))
    changes: list[Any] = [admin.put("/admin/keys/mine", json={"user": "gus", "models": ["small"]}) for _ in range(5)]
    changes += [admin.post("/admin/keys/mine/rotate") for _ in range(2)] + [admin.post("/admin/keys/mine/revoke")]
    replies = await asyncio.gather(*changes)
    assert replies[-1].status_code == 200
    assert (await ok(admin.get("/admin/keys/mine")))["revoked"] is True


async def test_keys_stand_nowhere(
    admin: httpx.AsyncClient, state: IngressState, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    issued = await ok(admin.post("/admin/keys", json={"user": "gus", "id": "mine"}))
    rotated = await ok(admin.post("/admin/keys/mine/rotate"))
    secrets = [issued["secret"], rotated["secret"]]
    hashes = [hashlib.sha256(secret.encode()).hexdigest() for secret in secrets]
    lone = secrets[0].rpartition("-")[2]

    replies = [
        await admin.get("/admin/keys"),
        await admin.get("/admin/keys/mine"),
        await admin.get("/admin/audit"),
        await admin.get("/admin/catalogue"),
        # Astray: where a name, a field or a value should be.
        await admin.get(f"/admin/keys/{secrets[0]}"),
        await admin.get(f"/admin/tenants/{secrets[0]}"),
        await admin.get(f"/admin/nothing/{secrets[0]}"),
        await admin.patch(f"/admin/keys/{secrets[0]}"),
        await admin.get("/admin/keys", params={"user": secrets[0], "role": secrets[0], secrets[0]: "1"}),
        await admin.get("/admin/keys", params={"cursor": secrets[0]}),
        await admin.post("/admin/keys", json={"user": secrets[0]}),
        await admin.post("/admin/keys", json={"user": "gus", "id": secrets[0]}),
        await admin.post("/admin/keys", json={"user": "gus", "role": lone}),
        await admin.post("/admin/keys", json={"user": "gus", "models": lone}),
        await admin.post("/admin/keys", json={"user": "gus", "sha256": hashes[0]}),
        await admin.post("/admin/keys", json={"user": "gus", secrets[0]: hashes[0]}),
        await admin.put("/admin/keys/mine", json={"user": secrets[0], "secret": secrets[0]}),
        await admin.post("/admin/keys/mine/rotate", json={"overlap": secrets[0]}),
        await admin.post("/admin/tenants", json={"name": "x", "qos_tier": secrets[0], "key": hashes[0]}),
        await admin.put("/admin/keys/mine", json={"user": "gus"}, headers={"if-match": f'"{secrets[0]}"'}),
    ]
    import_id = (await ok(admin.post("/admin/imports")))["id"]
    part = f"/admin/imports/{import_id}/parts/1"
    for key in (
        {"id": lone, "user": lone, "sha256": secrets[0]},
        {"id": "x", "user": "gus", "sha256": lone, "k": lone},
    ):
        replies.append(await admin.put(part, json={"keys": [{**key, "previous_sha256": lone, "role": lone}]}))
        assert replies[-1].status_code == 422
    for reply in replies:
        for hidden in (*secrets, *hashes, lone):
            assert hidden not in reply.text, reply.text
            assert hidden not in str(reply.headers)
    for hidden in (*secrets, *hashes, lone):
        assert hidden not in "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("httpx"))
    exported = (await admin.get("/admin/export")).text
    assert hashes[1] in exported
    assert not [secret for secret in secrets if secret in exported]


@pytest.mark.parametrize("path", ["/admin/keys", "/admin/keys/mine/rotate"])
async def test_a_secret_that_was_made_is_told_although_redis_goes_away(
    admin: httpx.AsyncClient, state: IngressState, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It is written, and nobody could ever be told again."""
    await ok(admin.post("/admin/keys", json={"user": "gus", "id": "mine"}))

    async def gone() -> Head:
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(state.live.store, "head", gone)
    body = {"user": "gus"} if path == "/admin/keys" else {}
    made = await ok(admin.post(path, json=body))
    monkeypatch.undo()
    assert await works(admin, made["secret"]) == 200


async def test_a_change_made_meanwhile_is_never_undone(
    admin: httpx.AsyncClient, state: IngressState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A condition that somebody else's write fulfils between looking at the key and writing it."""
    issued = await admin.post("/admin/keys", json={"user": "gus", "id": "mine"})
    following = int(issued.headers["etag"].strip('"')) + 1
    store, get = state.live.store, state.live.store.get

    for way in ("put", "rotate"):
        changed = False

        async def first_changed(kind: Kind, name: str) -> Stored | None:
            nonlocal changed
            found = await get(kind, name)
            if not changed and found is not None:
                changed = True
                key = cast(ApiKey, found.entity).model_copy(update={"models": ("small",)})
                await store.put(key, Actor("x", "x", "x"), "update", expected=found.version, here=())
            return found

        monkeypatch.setattr(store, "get", first_changed)
        headers = {"if-match": f'"{following}"'}
        if way == "put":
            await refused(admin.put("/admin/keys/mine", json={"user": "gus"}, headers=headers), 412, "version_conflict")
        else:
            await refused(admin.post("/admin/keys/mine/rotate", headers=headers), 412, "version_conflict")
        monkeypatch.undo()
        assert (await ok(admin.get("/admin/keys/mine")))["models"] == ["small"]
        following += 1
