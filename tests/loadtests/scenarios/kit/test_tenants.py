"""What is made on the server before a run, and taken away after it."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from loadtests.scenarios.kit import tenants
from loadtests.scenarios.kit.tenants import Admin, Limit, ServerError, Tenant, registered, require_loopback

BLOCK = {"denials": 2, "within": "2s", "duration": "5s"}
TENANT = Tenant("acme", "premium", limits=(Limit("acme-key", 10, 1.5, scope="API_KEY", block=BLOCK),))


class Server:
    """Answers like the admin API, and remembers."""

    def __init__(self, refuse: str = "", models: Sequence[str] = ("first", "load-quick")) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.ever: dict[str, dict[str, Any]] = {}
        self._refuse, self._models = refuse, models

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "GET":
            return httpx.Response(200, json={"items": [{"name": name} for name in self._models]})
        if request.method == "DELETE":
            return httpx.Response(204 if self.there.pop(path, None) else 404)
        if path == self._refuse:
            return httpx.Response(403, json={"error": {"code": "wrong_role"}})
        body = json.loads(request.content)
        self.there[f"{path}/{body.get('name') or body['id']}"] = body
        self.ever |= self.there
        return httpx.Response(201, json={"secret": "sk-secret"})


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Admin:
    monkeypatch.setattr(tenants, "EVERYWHERE_S", 0)
    return Admin("http://server", "sk-admin")


def answering(admin: Admin, server: Server) -> None:
    admin._http = httpx.Client(base_url="http://server", transport=httpx.MockTransport(server))


def test_tenants_are_made_and_taken_away(admin: Admin) -> None:
    server = Server()
    answering(admin, server)
    with registered(admin, [TENANT], "load-quick") as run:
        assert run.keys == {"acme": "sk-secret"}
        assert run.model == "load-quick"
        assert len(server.there) == 6  # tenant, user, key; its own policy and two roomy ones
        name, key_id = run.named("acme"), run.key_id("acme")
        policy = server.there[f"/admin/policies/{run.named('acme-key')}"]
        assert policy["match"] == {"api_key": key_id}
        assert (policy["limit"], policy["window"], policy["block"]) == (10, "1500ms", BLOCK)
        assert run.subject(TENANT, TENANT.limits[0]) == key_id
        assert run.subject(TENANT, Limit("x", 1, 1)) == name
        assert run.subject(TENANT, Limit("x", 1, 1, scope="USER_MODEL")) == f"{name}|load-quick"
        assert run.short(run.named("acme-key")) == "acme-key"
        assert run.short("everyone") == "everyone"
        assert "sk-secret" not in repr(run)
    assert server.there == {}


def test_roomy_limits_stand_in_for_the_servers_own() -> None:
    scopes = [(limit.scope, limit.unit) for limit in TENANT.all_limits()]
    assert scopes == [("API_KEY", "requests"), ("TENANT", "requests"), ("USER_MODEL", "concurrent_requests")]


def test_what_was_made_is_taken_away_also_when_the_rest_fails(admin: Admin) -> None:
    server = Server(refuse="/admin/policies")
    answering(admin, server)
    with pytest.raises(ServerError, match="role admin"), registered(admin, [TENANT], "load-quick"):
        pytest.fail("nothing may run")
    assert len(server.ever) == 3
    assert server.there == {}


@pytest.mark.parametrize(
    ("wished", "models", "asked"),
    [
        ("", ("first", "load-quick"), "load-quick"),
        ("", ("first", "second"), "first"),
        ("second", ("first", "second"), "second"),
    ],
)
def test_which_model_is_asked(admin: Admin, wished: str, models: Sequence[str], asked: str) -> None:
    answering(admin, Server(models=models))
    assert admin.model(wished) == asked


@pytest.mark.parametrize(("wished", "models"), [("load-slow", ("first", "load-quick")), ("", ()), ("load-slow", ())])
def test_another_model_is_not_taken_for_one_that_was_named(admin: Admin, wished: str, models: Sequence[str]) -> None:
    answering(admin, server := Server(models=models))
    with (
        pytest.raises(ServerError, match=rf"http://server.* has no model {wished}.*HOST=own"),
        registered(admin, [TENANT], wished),
    ):
        pytest.fail("nothing may run")
    assert server.ever == {}


def test_a_server_that_does_not_answer_is_named(admin: Admin) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] Connection refused", request=request)

    admin._http = httpx.Client(base_url="http://server:8000", transport=httpx.MockTransport(refuse))
    with pytest.raises(ServerError, match=r"GET http://server:8000/admin/models was not answered.*refused"):
        admin.model("")
    admin.delete("/admin/tenants/acme")  # as well as it can


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:8000", "http://localhost:8000", "http://127.3.0.1", "http://[::1]:1"]
)
def test_this_machine(host: str) -> None:
    require_loopback(host, False)


@pytest.mark.parametrize("host", ["http://10.0.0.1:8000", "https://example.com", "127.0.0.1:8000", "http://x127.0.0.1"])
def test_another_machine_only_where_that_is_asked_for(host: str) -> None:
    with pytest.raises(ServerError, match="beyond-loopback"):
        require_loopback(host, False)
    require_loopback(host, True)
