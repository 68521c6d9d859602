"""The catalogue as a whole: where it stands, and its export."""

import json
from typing import Any

import httpx
import pytest

from deployments.ingress.state import IngressState
from policies.catalogue import Catalogue
from policies.entities import ModelTier
from tests.deployments.ingress.admin.conftest import ok
from tests.deployments.ingress.conftest import CATALOGUE


def lines(reply: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    """What an export says."""
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.text == "" or reply.text.endswith("\n")
    read = [json.loads(line) for line in reply.text.splitlines()]
    assert all(set(each) == {"kind", "entity"} for each in read)
    return [(each["kind"], each["entity"]) for each in read]


async def test_where_it_stands(admin: httpx.AsyncClient) -> None:
    await ok(admin.post("/admin/tenants", json={"name": "initech"}))
    status = await ok(admin.get("/admin/catalogue"))
    assert (status["version"], status["problems"], status["import"]) == (1, [], None)
    assert status["counts"]["tenants"] == {"config": 2, "api": 1}
    assert list(status["counts"]) == ["tenants", "users", "keys", "tiers", "models", "policies"]


async def test_an_empty_export(admin: httpx.AsyncClient) -> None:
    assert lines(await admin.get("/admin/export")) == []


async def test_everything_is_exported(admin: httpx.AsyncClient) -> None:
    await ok(admin.post("/admin/tenants", json={"name": "initech", "weight": 2}))
    await ok(admin.post("/admin/keys", json={"user": "gus", "id": "mine", "expires_at": "2030-01-01T00:00:00Z"}))
    own = lines(await admin.get("/admin/export"))
    assert own[0] == ("tenants", {"name": "initech", "weight": 2.0})
    assert [(kind, sorted(entity)) for kind, entity in own[1:]] == [("keys", ["expires_at", "id", "sha256", "user"])]

    everything: dict[str, list[Any]] = {}
    for kind, entity in lines(await admin.get("/admin/export", params={"source": "all"})):
        everything.setdefault(kind, []).append(entity)
    known = Catalogue.parse({**CATALOGUE, **everything})
    assert len(known.tenants) == 3
    assert {key.id for key in known.keys} >= {"mine", "gus1", "operator1"}
    own_models = Catalogue.parse(CATALOGUE).models
    assert sorted(known.models, key=lambda m: m.name) == sorted(own_models, key=lambda m: m.name)


@pytest.mark.parametrize("at_once", [1, 2, 500])
async def test_an_export_is_made_piece_by_piece(
    admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("deployments.ingress.admin.overview._EXPORTED_AT_ONCE", at_once)
    for n in range(5):
        await ok(admin.put(f"/admin/tiers/t{n}", json={}))
        await ok(admin.put(f"/admin/tenants/t{n}", json={}))
    exported = lines(await admin.get("/admin/export"))
    assert exported == [(kind, {"name": f"t{n}"}) for kind in ("tenants", "tiers") for n in range(5)]


async def test_a_whole_export_has_each_name_once(admin: httpx.AsyncClient, state: IngressState) -> None:
    """An entity of the API that a later configuration has too is not in effect, and could not be imported beside it."""
    await ok(admin.post("/admin/tiers", json={"name": "fast"}))
    config = state.live.config
    state.use(config.model_copy(update={"tiers": (*config.tiers, ModelTier(name="fast"))}))
    for source, times in (("all", 1), ("api", 1)):
        exported = (await admin.get("/admin/export", params={"source": source})).text.splitlines()
        assert [json.loads(line)["entity"]["name"] for line in exported if '"tiers"' in line].count("fast") == times
