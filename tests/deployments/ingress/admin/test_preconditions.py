"""Entity tags and conditions: how the headers are read, and what they do to changes."""

import asyncio
from itertools import pairwise
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from deployments.ingress.admin.preconditions import MAX_TAGS, Conditions, Tags
from deployments.ingress.errors import HttpError
from deployments.ingress.state import IngressState
from tests.deployments.ingress.admin.conftest import ok, refused


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ("*", Tags(any=True)),
        (" * ", Tags(any=True)),
        ('"12"', Tags(strong=frozenset({"12"}))),
        ('W/"12"', Tags(weak=frozenset({"12"}))),
        ('"12", W/"13" ,"x,y"', Tags(strong=frozenset({"12", "x,y"}), weak=frozenset({"13"}))),
        ('""', Tags(strong=frozenset({""}))),
        ('"config-1a2b3c4d"', Tags(strong=frozenset({"config-1a2b3c4d"}))),
    ],
)
def test_tags(value: str, tags: Tags) -> None:
    for name in ("match", "none_match"):
        header = "if-match" if name == "match" else "if-none-match"
        assert getattr(Conditions.of(Headers({header: value})), name) == tags


@pytest.mark.parametrize(
    "value", ["", "12", '"12', '12"', '"1" "2"', '"1",', ',"1"', '*, "1"', 'w/"1"', '"a b"', ",".join(['"1"'] * 30)]
)
def test_what_is_no_list_of_tags(value: str) -> None:
    if value.count(",") > MAX_TAGS:
        value = ",".join(f'"{n}"' for n in range(MAX_TAGS + 1))
    with pytest.raises(HttpError) as caught:
        Conditions.of(Headers({"if-match": value}))
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_header", "If-Match")


def test_several_lines_are_one_list() -> None:
    raw = [(b"if-match", b'"1"'), (b"if-match", b'"2"')]
    assert Conditions.of(Headers(raw=raw)).match == Tags(strong=frozenset({"1", "2"}))


@pytest.mark.parametrize(
    ("headers", "exact"),
    [
        ({}, None),
        ({"if-match": '"12"'}, 12),
        ({"if-match": '"0"'}, None),
        ({"if-match": '"012"'}, None),
        ({"if-match": '"config-1a2b3c4d"'}, None),
        ({"if-match": 'W/"12"'}, None),
        ({"if-match": '"12", "13"'}, None),
        ({"if-match": "*"}, None),
        ({"if-match": '"12"', "if-none-match": "*"}, None),
        ({"if-match": '"' + "9" * 30 + '"'}, None),
    ],
)
def test_what_redis_alone_decides(headers: dict[str, str], exact: int | None) -> None:
    assert Conditions.of(Headers(headers)).exact_version == exact


@pytest.mark.parametrize(
    ("exists", "headers", "status"),
    [
        (True, {}, 200),
        (True, {"if-match": '"1"'}, 200),
        (True, {"if-match": '"7", "1"'}, 200),
        (True, {"if-match": '"7", W/"1"'}, 412),  # a weak tag never matches
        (True, {"if-match": 'W/"1"'}, 412),
        (True, {"if-match": '"7"'}, 412),
        (True, {"if-match": '"0"'}, 412),
        (True, {"if-match": '"config-1a2b3c4d"'}, 412),
        (True, {"if-match": "*"}, 200),
        (True, {"if-none-match": "*"}, 412),
        (True, {"if-none-match": '"1"'}, 412),
        (True, {"if-none-match": 'W/"1"'}, 412),  # compared weakly
        (True, {"if-none-match": '"7"'}, 200),
        (True, {"if-match": '"1"', "if-none-match": "*"}, 412),
        (True, {"if-match": "1"}, 400),
        (False, {}, 201),
        (False, {"if-match": '"1"'}, 412),
        (False, {"if-match": '"0"'}, 412),
        (False, {"if-match": "*"}, 412),
        (False, {"if-none-match": "*"}, 201),
        (False, {"if-none-match": '"1"'}, 201),
        (False, {"if-match": "*", "if-none-match": "*"}, 412),
    ],
)
async def test_conditions_of_a_put(
    admin: httpx.AsyncClient, exists: bool, headers: dict[str, str], status: int
) -> None:
    if exists:
        await ok(admin.post("/admin/tiers", json={"name": "new"}))
    reply = await admin.put("/admin/tiers/new", json={}, headers=headers)
    assert reply.status_code == status, reply.text
    entries = (await ok(admin.get("/admin/audit")))["items"]
    assert len(entries) == exists + (status < 300)  # what is refused changes nothing
    if status == 412:
        assert reply.json()["error"]["code"] == "version_conflict"
        assert reply.headers.get("etag") == ('"1"' if exists else None)
        deleted = await admin.delete("/admin/tiers/new", headers=headers)
        assert deleted.status_code == 412


async def test_a_lost_update_is_refused(admin: httpx.AsyncClient) -> None:
    created = await admin.post("/admin/tenants", json={"name": "initech"})
    condition = {"if-match": created.headers["etag"]}
    first = await admin.put("/admin/tenants/initech", json={"weight": 2}, headers=condition)
    message = await refused(
        admin.put("/admin/tenants/initech", json={"weight": 3}, headers=condition), 412, "version_conflict"
    )
    assert "at version 2, not 1" in message
    assert "read it again" in message
    assert (await admin.get("/admin/tenants/initech")).json() == first.json()


async def test_a_replayed_delete_takes_nothing_new(admin: httpx.AsyncClient) -> None:
    created = await admin.post("/admin/tiers", json={"name": "new"})
    condition = {"if-match": created.headers["etag"]}
    assert (await admin.delete("/admin/tiers/new", headers=condition)).status_code == 204
    assert "has been deleted" in await refused(
        admin.delete("/admin/tiers/new", headers=condition), 412, "version_conflict"
    )
    await refused(admin.delete("/admin/tiers/new"), 404, "not_found")
    await ok(admin.post("/admin/tiers", json={"name": "new"}))
    await refused(admin.delete("/admin/tiers/new", headers=condition), 412, "version_conflict")
    assert (await admin.get("/admin/tiers/new")).status_code == 200


async def _increment(client: httpx.AsyncClient, path: str, writer: int) -> list[int]:
    """Adds 1 to the policy's limit as often as needed until it holds; the version it got."""
    while True:
        read = await client.get(path)
        assert read.status_code == 200, read.text
        limit = read.json()["limit"] + 1
        body = {"scope": "GLOBAL", "limit": limit, "window": f"{writer + 1}m"}
        written = await client.put(path, json=body, headers={"if-match": read.headers["etag"]})
        if written.status_code == 200:
            return [written.json()["version"], limit]
        assert written.status_code == 412


async def test_a_hundred_writers_lose_nothing(admin: httpx.AsyncClient, state: IngressState) -> None:
    path = "/admin/policies/shared"
    await ok(admin.put(path, json={"scope": "GLOBAL", "limit": 1, "window": "1m"}))
    others: list[Any] = [admin.put(f"/admin/tiers/t{n}", json={}) for n in range(100)]
    written, _ = await asyncio.gather(
        asyncio.gather(*(_increment(admin, path, writer) for writer in range(100))),
        asyncio.gather(*map(ok, others)),
    )
    assert (await admin.get(path)).json()["limit"] == 101
    assert sorted(limit for _, limit in written) == list(range(2, 102))

    entries, cursor = [], None
    while True:
        query = {"limit": 70, **({"cursor": cursor} if cursor else {})}
        page = await ok(admin.get("/admin/audit", params=query))
        entries += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [entry["version"] for entry in entries] == list(range(201, 0, -1))  # complete, in order, once each
    history = [entry for entry in reversed(entries) if entry["name"] == "shared"]
    assert [(e["version"], e["after"]["limit"]) for e in history[1:]] == sorted(map(tuple, written))
    for before, after in pairwise(history):
        assert after["before"] == before["after"]


async def test_writers_under_conditions_of_several_versions(admin: httpx.AsyncClient) -> None:
    await ok(admin.put("/admin/tiers/new", json={}))
    replies = await asyncio.gather(
        *(admin.put("/admin/tiers/new", json={}, headers={"if-match": "*"}) for _ in range(10))
    )
    assert [reply.status_code for reply in replies] == [200] * 10
    creators = await asyncio.gather(
        *(admin.put("/admin/tiers/newer", json={}, headers={"if-none-match": "*"}) for _ in range(10))
    )
    assert sorted(reply.status_code for reply in creators) == [201] + [412] * 9
