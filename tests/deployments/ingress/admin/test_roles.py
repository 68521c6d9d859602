"""Who may do what: every route of the admin API for every role, and the admin's keys elsewhere."""

import re

import httpx
import pytest

from deployments.ingress.admin.routing import OPERATOR_MAY
from tests.deployments.ingress.admin.conftest import ROLES, bearer, refused

PARAMETERS = {"name": "x", "id": "0123456789abcdef", "part": "1"}


async def operations(admin: httpx.AsyncClient) -> list[tuple[str, str, str]]:
    """(method, path, operation id) of every route under /admin."""
    paths = (await admin.get("/openapi.json")).json()["paths"]
    return [
        (method.upper(), re.sub(r"{(\w+)}", lambda match: PARAMETERS[match[1]], path), operation["operationId"])
        for path, methods in paths.items()
        for method, operation in methods.items()
        if path.startswith("/admin/")
    ]


async def test_every_route_for_every_role(admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.ingress.live.viewer.LONGEST_S", 0.05)  # the live feed would not end
    asked = await operations(admin)
    assert len(asked) >= 40
    for method, path, operation in asked:
        for role, key_id in ROLES.items():
            if operation == "exportCatalogue" and role == "admin":
                continue  # has a test of its own
            reply = await admin.request(method, path, headers=bearer(key_id))
            may = role == "admin" or (role == "operator" and operation in OPERATOR_MAY)
            assert (reply.status_code == 403) is not may, (method, path, role, reply.status_code, reply.text)
            assert reply.status_code < 500, (method, path, reply.text)
            assert reply.headers["cache-control"] == "no-store"
            if not may:
                error = reply.json()["error"]
                assert (error["code"], error["type"]) == ("wrong_role", "permission_error")
                assert role in error["message"]
        reply = await admin.request(method, path, headers={"authorization": ""})
        assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer"), (method, path)
        assert reply.headers["cache-control"] == "no-store"


async def test_operators_read_and_revoke(admin: httpx.AsyncClient) -> None:
    known = {operation: method for method, _, operation in await operations(admin)}
    changing = {operation for operation in OPERATOR_MAY if known.get(operation, "GET") != "GET"}
    assert changing == {"revokeKey"}
    reading = {operation for operation, method in known.items() if method == "GET"}
    assert reading - OPERATOR_MAY == {"exportCatalogue"}


@pytest.mark.parametrize("role", ["admin", "operator", "gateway"])
async def test_only_inference_keys_infer(admin: httpx.AsyncClient, role: str) -> None:
    request = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
    reply = await admin.post("/v1/chat/completions", json=request, headers=bearer(ROLES[role]))
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "wrong_role")


async def test_a_caller_without_the_right_is_refused_before_the_body_is_looked_at(admin: httpx.AsyncClient) -> None:
    for body in (b"{", b"x" * (1 << 21)):
        await refused(admin.post("/admin/tenants", content=body, headers=bearer("gus1")), 403, "wrong_role")
        wrong = {"authorization": "Bearer sk-gus1-" + "w" * 24}
        await refused(admin.post("/admin/tenants", content=body, headers=wrong), 401, "invalid_api_key")
