"""Decisions for other gateways: what they are told, how they settle, and whose decisions they are."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from deployments.ingress.app import create_app
from deployments.ingress.state import IngressSettings, IngressState
from policies import Limiter
from policies.catalogue import Catalogue
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from tests.deployments.ingress.conftest import CATALOGUE, DEADLINE_S, LocalPools, _key, secret, use
from tests.policies.redis_server import RedisServer

KEYS = [*CATALOGUE["keys"], _key("gate1", "paula", role="gateway"), _key("gate2", "paula", role="gateway")]
REQUESTS = {"name": "burst", "scope": "TENANT", "limit": 3, "window": "1m"}
TOKENS = {"name": "tokens", "scope": "TENANT", "unit": "total_tokens", "limit": 10_000, "window": "1m"}
SLOTS = {"name": "slots", "scope": "API_KEY", "unit": "concurrent_requests", "limit": 1, "window": "30s"}
ASKED = {"api_key": "gus1", "model": "small", "input_tokens": 100, "max_output_tokens": 400}


def bearer(key_id: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret(key_id)}"}


@pytest.fixture
async def gate(client: httpx.AsyncClient, state: IngressState) -> httpx.AsyncClient:
    use(state, REQUESTS, TOKENS, SLOTS, keys=KEYS)
    client.headers.update(bearer("gate1"))
    return client


@pytest.fixture
async def elsewhere(redis_server: RedisServer, state: IngressState) -> AsyncIterator[httpx.AsyncClient]:
    """Another replica, which shares nothing but Redis."""
    redis = Redis(unix_socket_path=redis_server.socket)
    live = LiveCatalogue(CatalogueStore(Redis(unix_socket_path=redis_server.socket)))
    other = IngressState(IngressSettings(), Limiter(redis, deadline_s=DEADLINE_S), LocalPools(), live)
    other.use(Catalogue.parse({**CATALOGUE, "keys": KEYS, "policies": [REQUESTS, TOKENS, SLOTS]}))
    await live.start()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(other)), base_url="http://other", headers=bearer("gate1")
    ) as client:
        yield client
    await other.close()
    await redis.aclose()


async def used(client: httpx.AsyncClient) -> dict[str, int]:
    body = (await client.get("/v1/limits", headers=bearer("gus1"), params={"model": "small"})).json()
    return {window["policy"]: window["used"] for window in body["windows"]}


async def ask(client: httpx.AsyncClient, **fields: Any) -> Any:
    asked = {name: value for name, value in {**ASKED, **fields}.items() if value is not None}
    reply = await client.post("/v1/decisions", json=asked)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_an_allowed_request(gate: httpx.AsyncClient) -> None:
    decision = await ask(gate, model="default")
    assert (decision["allowed"], decision["status"], decision["error"]) == (True, 200, None)
    assert (decision["model"], decision["max_output_tokens"]) == ("small", 400)
    assert decision["renew_every_s"] == 10.0
    assert {window["policy"]: window["used"] for window in decision["windows"]} == {
        "burst": 1,
        "tokens": 500,
        "slots": 1,
    }
    assert decision["headers"]["x-ratelimit-remaining-requests"] == "2"
    assert decision["headers"]["ratelimit"].startswith('"burst";r=2')
    assert await used(gate) == {"burst": 1, "tokens": 500, "slots": 1}


async def test_it_is_the_decision_that_the_client_itself_would_get(
    gate: httpx.AsyncClient, state: IngressState
) -> None:
    use(state, REQUESTS, keys=KEYS)
    for _ in range(2):
        assert (await ask(gate))["allowed"]
    message = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
    assert (await gate.post("/v1/chat/completions", json=message, headers=bearer("gus1"))).status_code == 200
    theirs = await gate.post("/v1/chat/completions", json=message, headers=bearer("gus1"))
    ours = await ask(gate)
    assert (ours["allowed"], ours["status"], theirs.status_code) == (False, 429, 429)
    assert set(ours["error"]) == set(theirs.json()["error"])
    assert ours["error"]["code"] == theirs.json()["error"]["code"]
    for name in ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "ratelimit-policy"):
        assert ours["headers"][name] == theirs.headers[name]
    assert int(ours["headers"]["retry-after"]) >= 1


async def test_a_denial(gate: httpx.AsyncClient, state: IngressState, redis_server: RedisServer) -> None:
    use(state, {**REQUESTS, "limit": 1}, keys=KEYS)
    await ask(gate)
    before = redis_server.dump()
    denied = await ask(gate)
    assert (denied["allowed"], denied["id"], denied["denied_by"]) == (False, None, "burst")
    assert 59 < denied["retry_after_s"] <= 60
    assert denied["headers"]["retry-after"] == "60"
    assert denied["error"]["policy"] == "burst"
    assert redis_server.dump() == before


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"api_key": "nobody"}, 401, "invalid_api_key"),
        ({"api_key": "revoked"}, 401, "invalid_api_key"),
        ({"api_key": "expired"}, 401, "expired_api_key"),
        ({"api_key": "demo-x"}, 401, "invalid_api_key"),
        ({"api_key": "admin1"}, 403, "wrong_role"),
        ({"api_key": "onlysmall", "model": "large"}, 403, "model_not_allowed"),
        ({"model": "nope"}, 404, "model_not_found"),
        ({"input_tokens": 10_001}, 400, "request_exceeds_limit"),
        ({"input_tokens": 500_000_000, "max_output_tokens": 500_000_000}, 400, "request_exceeds_limit"),
    ],
)
async def test_what_the_client_would_be_told(
    gate: httpx.AsyncClient, fields: dict[str, Any], status: int, code: str
) -> None:
    decision = await ask(gate, **fields)
    assert (decision["allowed"], decision["id"], decision["status"], decision["error"]["code"]) == (
        False,
        None,
        status,
        code,
    )
    assert await used(gate) == {"burst": 0, "tokens": 0, "slots": 0}


async def test_a_forwarded_key_is_checked(gate: httpx.AsyncClient) -> None:
    assert (await ask(gate, api_key=None, key=secret("gus1")))["allowed"]
    wrong = await ask(gate, api_key=None, key=secret("gus1") + "x")
    assert (wrong["status"], wrong["error"]["code"]) == (401, "invalid_api_key")
    assert wrong["headers"]["www-authenticate"] == "Bearer"


async def test_wrong_keys_of_clients_do_not_count_against_the_gateway(gate: httpx.AsyncClient) -> None:
    for n in range(60):
        assert (await ask(gate, api_key=None, key=f"sk-no{n}-{'x' * 24}"))["status"] == 401
    assert (await ask(gate))["allowed"]


@pytest.mark.parametrize(
    "body",
    [
        {"model": "small"},
        {**ASKED, "key": secret("gus1")},
        {**ASKED, "key": None},
        {**ASKED, "input_tokens": -1},
        {**ASKED, "input_tokens": "5"},
        {**ASKED, "input_tokens": 10**9},
        {**ASKED, "prompt": "hello"},
        {"key": "sk-secret-" + "s" * 400, "model": "small"},
    ],
)
async def test_a_wrong_body(gate: httpx.AsyncClient, body: dict[str, Any]) -> None:
    reply = await gate.post("/v1/decisions", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "invalid_parameter")
    assert "sssss" not in reply.text
    assert "hello" not in reply.text


async def test_a_body_is_not_read_without_a_right_nor_beyond_the_limit(gate: httpx.AsyncClient) -> None:
    big = {"content": b"x" * 5_000, "headers": {"content-type": "application/json"}}
    assert (await gate.post("/v1/decisions", **big)).status_code == 413  # type: ignore[arg-type]
    big["headers"] = {**big["headers"], **bearer("gus1")}  # type: ignore[dict-item]
    assert (await gate.post("/v1/decisions", **big)).status_code == 403  # type: ignore[arg-type]


@pytest.mark.parametrize("key_id", ["gus1", "admin1"])
@pytest.mark.parametrize("path", ["", "/some-id/settle", "/some-id/renew"])
async def test_only_gateways(gate: httpx.AsyncClient, key_id: str, path: str) -> None:
    reply = await gate.post(f"/v1/decisions{path}", json={}, headers=bearer(key_id))
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "wrong_role")


async def test_gateways_do_nothing_else(gate: httpx.AsyncClient) -> None:
    message = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
    assert (await gate.post("/v1/chat/completions", json=message)).status_code == 403
    for path in ("/admin/tenants", "/v1/models", "/v1/limits"):
        assert (await gate.get(path)).status_code == 403


# Settling -----------------------------------------------------------------------------------------------------


async def test_settled_at_another_replica(gate: httpx.AsyncClient, elsewhere: httpx.AsyncClient) -> None:
    decision = await ask(gate)
    path = f"/v1/decisions/{decision['id']}/settle"
    reply = await elsewhere.post(path, json={"actual": {"input_tokens": 90, "output_tokens": 60}})
    assert reply.json() == {
        "id": decision["id"],
        "actual": {"input_tokens": 90, "output_tokens": 60, "total_tokens": 150},
        "first": True,
    }
    assert await used(gate) == {"burst": 1, "tokens": 150, "slots": 0}
    again = await gate.post(path, json={"actual": {"total_tokens": 9_999}})
    assert again.json() == {**reply.json(), "first": False}
    assert await used(gate) == {"burst": 1, "tokens": 150, "slots": 0}


async def test_doubles_at_once(gate: httpx.AsyncClient, elsewhere: httpx.AsyncClient) -> None:
    decision = await ask(gate)
    path = f"/v1/decisions/{decision['id']}/settle"
    sent = [
        each.post(path, json={"actual": {"total_tokens": n}}) for n in range(600, 610) for each in (gate, elsewhere)
    ]
    replies = [reply.json() for reply in await asyncio.gather(*sent)]
    assert sum(reply["first"] for reply in replies) == 1
    (actual,) = {reply["actual"]["total_tokens"] for reply in replies}
    assert (await used(gate))["tokens"] == actual


async def test_what_never_ran(gate: httpx.AsyncClient) -> None:
    decision = await ask(gate)
    assert (await gate.post(f"/v1/decisions/{decision['id']}/settle", json={"ran": False})).status_code == 200
    assert await used(gate) == {"burst": 0, "tokens": 0, "slots": 0}


async def test_an_empty_settlement_leaves_what_was_reserved(gate: httpx.AsyncClient) -> None:
    decision = await ask(gate)
    assert (await gate.post(f"/v1/decisions/{decision['id']}/settle")).json()["actual"] == {}
    assert await used(gate) == {"burst": 1, "tokens": 500, "slots": 0}


async def test_renewing_until_it_is_settled(gate: httpx.AsyncClient, elsewhere: httpx.AsyncClient) -> None:
    decision = await ask(gate)
    path = f"/v1/decisions/{decision['id']}"
    assert (await elsewhere.post(f"{path}/renew")).json() == {"id": decision["id"], "renewed": True}
    await gate.post(f"{path}/settle")
    assert (await elsewhere.post(f"{path}/renew")).json()["renewed"] is False


@pytest.mark.parametrize("what", ["settle", "renew"])
async def test_another_gateways_decision(gate: httpx.AsyncClient, what: str) -> None:
    decision = await ask(gate)
    reply = await gate.post(f"/v1/decisions/{decision['id']}/{what}", headers=bearer("gate2"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "decision_not_found")
    assert await used(gate) == {"burst": 1, "tokens": 500, "slots": 1}
    assert (await gate.post(f"/v1/decisions/no-such-id/{what}")).status_code == 404
    assert (await gate.post(f"/v1/decisions/{'x' * 65}/{what}")).status_code == 422


@pytest.mark.parametrize(
    "body", [{"actual": {"tokens": 5}}, {"actual": {"total_tokens": -1}}, {"ran": False, "actual": {"total_tokens": 5}}]
)
async def test_a_wrong_settlement_settles_nothing(gate: httpx.AsyncClient, body: dict[str, Any]) -> None:
    decision = await ask(gate)
    path = f"/v1/decisions/{decision['id']}/settle"
    assert (await gate.post(path, json=body)).status_code == 422
    assert (await gate.post(path)).json()["first"]


async def test_where_redis_does_not_answer(
    gate: httpx.AsyncClient, redis_server: RedisServer, state: IngressState
) -> None:
    decision = await ask(gate)

    async def unanswered(*_: Any, **__: Any) -> Any:
        from policies import StoreError

        raise StoreError("down")

    run, state.limiter.store.run = state.limiter.store.run, unanswered  # type: ignore[method-assign]
    for path in ("", f"/{decision['id']}/settle", f"/{decision['id']}/renew"):
        reply = await gate.post(f"/v1/decisions{path}", json=ASKED if not path else {})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "limits_unavailable")
        assert reply.headers["retry-after"] == "1"
    state.limiter.store.run = run  # type: ignore[method-assign]
    assert (await gate.post(f"/v1/decisions/{decision['id']}/settle")).json()["first"]
