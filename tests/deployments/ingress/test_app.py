"""Everything but inference: limits, models, health, errors, the API's description."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from deployments.ingress.app import create_app
from deployments.ingress.state import IngressState
from policies.errors import CatalogueError
from tests.deployments.ingress.conftest import LocalPools, secret, use


async def test_limits_show_the_callers_windows_and_consume_nothing(
    client: httpx.AsyncClient, state: IngressState
) -> None:
    use(
        state,
        {"name": "t", "scope": "TENANT", "limit": 5, "window": "1m"},
        {"name": "m", "scope": "MODEL", "limit": 5, "window": "1m", "match": {"model": "large"}},
        {"name": "other", "scope": "TENANT", "limit": 5, "window": "1m", "match": {"qos_tier": "premium"}},
    )
    for _ in range(3):
        body = (await client.get("/v1/limits")).json()
    assert (body["tenant"], body["user"], body["api_key"]) == ("globex", "gus", "gus1")
    assert [(w["policy"], w["subject"], w["used"], w["remaining"]) for w in body["windows"]] == [
        ("t", "globex", 0, 5),
        ("m", "large", 0, 5),
    ]
    only = (await client.get("/v1/limits", params={"model": "default"})).json()
    assert [w["policy"] for w in only["windows"]] == ["t"]
    assert (await client.get("/v1/limits", params={"model": "nope"})).status_code == 404


@pytest.mark.parametrize("path", ["/v1/limits", "/v1/models"])
async def test_a_key_is_needed(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path, headers={"authorization": ""})
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")


async def test_models_have_their_aliases(client: httpx.AsyncClient) -> None:
    body = (await client.get("/v1/models")).json()
    assert body["object"] == "list"
    assert [m["id"] for m in body["data"]] == ["small", "default", "large", "ghost"]


async def test_health_and_readiness(client: httpx.AsyncClient, state: IngressState) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    state.has_catalogue = False
    assert "catalogue" in (await client.get("/readyz")).json()["problems"][0]


async def test_a_model_that_nothing_runs(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/chat/completions", json={"model": "ghost", "messages": [{"role": "user"}]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "model_unavailable")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("GET", "/v1/chat/completions", 405)])
async def test_errors_have_one_shape(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    reply = await client.request(method, path)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert reply.headers["x-request-id"]


async def test_demo_keys_work_where_they_are_let(client: httpx.AsyncClient, state: IngressState) -> None:
    object.__setattr__(state.settings, "demo", True)
    headers = {"authorization": f"Bearer {secret('demo-x')}"}
    assert (await client.get("/v1/models", headers=headers)).status_code == 200


async def test_no_cors_and_no_cookies(client: httpx.AsyncClient) -> None:
    reply = await client.get("/v1/models", headers={"origin": "https://evil.example"})
    assert not [name for name in reply.headers if name.startswith("access-control") or name == "set-cookie"]


async def test_pages_of_named_origins_may_use_the_api(client: httpx.AsyncClient, state: IngressState) -> None:
    object.__setattr__(state.settings, "cors_origins", ("https://chat.example",))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(state)), base_url="http://sluice") as shared:
        asking = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        for origin, status in (("https://chat.example", 200), ("https://evil.example", 400)):
            reply = await shared.options("/v1/chat/completions", headers={"origin": origin, **asking})
            assert reply.status_code == status
            assert reply.headers.get("access-control-allow-origin") == (origin if status == 200 else None)
            assert "access-control-allow-credentials" not in reply.headers
        reply = await shared.get("/v1/models", headers={"origin": "https://chat.example", **client.headers})
        assert reply.headers["access-control-allow-origin"] == "https://chat.example"
        assert "x-ratelimit-remaining-requests" in reply.headers["access-control-expose-headers"]
        refused = await shared.get("/v1/models", headers={"origin": "https://chat.example"})
        assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (401, True)


async def test_the_api_describes_itself(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/openapi.json")).json()
    assert {path for path in schema["paths"] if not path.startswith("/admin/")} == {
        *(
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/embeddings",
            "/v1/limits",
            "/v1/limits/live",
            "/healthz",
            "/readyz",
        ),
        *("/v1/models", "/v1/models/{model}", "/v1/models/{model}/infer"),
        "/page/settings",
        *("/v1/decisions", "/v1/decisions/{id}/settle", "/v1/decisions/{id}/renew"),
    }
    names = [operation["operationId"] for path in schema["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)
    assert "messages" in schema["components"]["schemas"]["ChatCompletionRequest"]["required"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
async def test_probes_may_ask_for_the_status_alone(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.head(path)
    assert (reply.status_code, reply.content) == (200, b"")


async def test_the_pools_are_begun_with_before_the_first_request(state: IngressState, pools: LocalPools) -> None:
    await state.reconfigure({"catalogue": {}})
    assert pools.started


async def test_a_wrong_catalogue_never_replaces_one_in_use(
    client: httpx.AsyncClient, state: IngressState, caplog: pytest.LogCaptureFixture
) -> None:
    await state.reconfigure({"catalogue": {"tenants": [{"name": "acme", "qos_tier": "gold"}]}})
    await state.reconfigure({})
    assert "qos_tier 'gold' does not exist" in caplog.text
    assert "user_config.catalogue: missing" in caplog.text
    assert (await client.get("/v1/models")).status_code == 200


async def test_the_first_catalogue_must_be_right(state: IngressState) -> None:
    with pytest.raises(CatalogueError):
        await state.reconfigure({"catalogue": {"tennants": []}})


@pytest.mark.parametrize("stream", [False, True])
async def test_what_nobody_expected_is_ours_and_gives_everything_back(
    client: httpx.AsyncClient, state: IngressState, pools: LocalPools, stream: bool
) -> None:
    class Odd:
        async def generate(self, _: Any) -> Any:
            raise RuntimeError("sk-secret of whom")

        async def generate_stream(self, _: Any) -> Any:
            yield b"data: {}\n\n", 1, None
            raise RuntimeError("sk-secret of whom")

    pools.services["small"] = Odd()
    use(state, {"name": "slots", "scope": "TENANT", "limit": 1, "window": "10s", "unit": "concurrent_requests"})
    ask = {"model": "small", "messages": [{"role": "user"}], "stream": stream}
    reply = await client.post("/v1/chat/completions", json=ask)
    assert reply.status_code == (200 if stream else 500)
    last = json.loads(reply.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert (last["error"]["code"], "secret" in reply.text) == ("internal_error", False)
    async with asyncio.timeout(10):
        while (await client.get("/v1/limits")).json()["windows"][0]["used"]:
            await asyncio.sleep(0.01)


async def test_below_a_prefix(state: IngressState) -> None:
    use(state)
    transport = httpx.ASGITransport(create_app(state), root_path="/sluice")
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice") as client:
        client.headers["authorization"] = f"Bearer {secret('gus1')}"
        ask = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
        for path, status in (
            ("/sluice/v1/chat/completions", 200),
            ("/sluice/v1/chat/completions/x", 404),
            ("/other/v1/chat/completions", 404),
        ):
            assert (await client.post(path, json=ask)).status_code == status, path
        assert (await client.get("/sluice/v1/models")).status_code == 200
