"""`GET /admin/sla`: targets, what each tenant got, and the figures of several replicas together."""

import httpx
import pytest

from deployments.ingress import sla_sharing
from deployments.ingress.sla import SlaTarget
from deployments.ingress.sla_sharing import SlaSharing
from deployments.ingress.state import IngressState
from tests.deployments.ingress.conftest import secret, use

BODY = {"model": "small", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
ADMIN = {"authorization": f"Bearer {secret('admin1')}"}


async def test_what_tenants_got(client: httpx.AsyncClient, state: IngressState) -> None:
    object.__setattr__(state.settings, "sla", {"standard": SlaTarget(ttft_p95_ms=60_000, success_rate=0.99)})
    for stream in (False, True, True):
        reply = await client.post("/v1/chat/completions", json={**BODY, "stream": stream})
        assert reply.status_code == 200
    told = (await client.get("/admin/sla", headers=ADMIN)).json()
    assert told["targets"] == {"standard": {"ttft_p95_ms": 60_000, "success_rate": 0.99}}
    (tenant,) = told["tenants"]
    assert (tenant["tenant"], tenant["qos_tier"], sorted(tenant["windows"])) == ("globex", "standard", ["1h", "1m"])
    for attained in tenant["windows"].values():
        assert (attained["requests"], attained["success_rate"], attained["met"]) == (3, 1.0, True)
        assert 0 < attained["ttft_p50_ms"] <= attained["ttft_p95_ms"] <= attained["latency_p95_ms"]


async def test_a_limit_is_no_failure_of_the_service_and_a_model_that_is_gone_is(
    client: httpx.AsyncClient, state: IngressState
) -> None:
    use(state, {"name": "one", "scope": "TENANT", "limit": 1, "window": "1m"})
    replies = [await client.post("/v1/chat/completions", json=BODY) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 429, 429]
    use(state)
    ghost = await client.post("/v1/chat/completions", json={**BODY, "model": "ghost"})
    assert ghost.status_code == 503
    (tenant,) = (await client.get("/admin/sla", headers=ADMIN)).json()["tenants"]
    assert tenant["windows"]["1m"]["requests"] == 2
    assert tenant["windows"]["1m"]["success_rate"] == 0.5
    assert tenant["windows"]["1m"]["met"] is None


async def test_replicas_are_added_up_and_forgotten(
    client: httpx.AsyncClient, state: IngressState, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SlaSharing(type(state.sla)(lambda: 1_000.0), state.live.store)
    other._book.succeeded("acme", "premium", 0.5, 1.0)
    other._book.failed("globex", "standard")
    await other.tell()
    assert (await client.post("/v1/chat/completions", json=BODY)).status_code == 200
    told = (await client.get("/admin/sla", headers=ADMIN)).json()["tenants"]
    assert {t["tenant"]: t["windows"]["1m"]["requests"] for t in told} == {"acme": 1, "globex": 2}
    premium = told[0]["windows"]["1h"]
    assert 500 <= premium["ttft_p95_ms"] <= 550
    assert 1000 <= premium["latency_p95_ms"] <= 1100
    monkeypatch.setattr(sla_sharing, "FORGOTTEN_S", -1)
    told = (await client.get("/admin/sla", headers=ADMIN)).json()["tenants"]
    assert {t["tenant"]: t["windows"]["1m"]["requests"] for t in told} == {"globex": 1}
    assert await state.live.store.redis.hlen("sluice:{sla}") == 0


async def test_replicas_tell_by_themselves(state: IngressState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sla_sharing, "TELL_EVERY_S", 0.01)
    state.sla.succeeded("acme", "premium", None, 1.0)
    state.sla_sharing.start()
    reader = SlaSharing(type(state.sla)(lambda: 0.0), state.live.store)
    figures = await reader.together()
    while "acme" not in figures:
        figures = await reader.together()
    assert figures["acme"][1]["1m"].succeeded == 1
