"""What every route does around its own work, where the store is gone or something is refused."""

from typing import Any

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from deployments.ingress.admin.routing import refusal
from deployments.ingress.errors import HttpError, redacted
from deployments.ingress.state import IngressState
from policies import errors
from policies.catalogue import whole
from tests.deployments.ingress.admin.conftest import refused

GROUPS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type)
    and issubclass(each, errors.CatalogueChangeError)
    and each is not errors.CatalogueChangeError
]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_every_refusal_has_a_status_and_a_code(group: type[errors.CatalogueChangeError]) -> None:
    error = group("user 'ada' is odd", 7) if group is errors.VersionConflictError else group("user 'ada' is odd")
    known = refusal(error)
    assert known.status in (404, 409, 412)
    assert known.code != "http_error"
    assert str(known) == "User 'ada' is odd."
    assert known.headers["cache-control"] == "no-store"
    assert known.headers.get("retry-after") == ("1" if group is errors.ImportRunningError else None)
    assert known.headers.get("etag") == ('"7"' if group is errors.VersionConflictError else None)


def test_what_went_astray_is_not_repeated() -> None:
    key, sha256 = "sk-mine-" + "s" * 40, "0f" * 32
    assert redacted(f"{key} and {sha256}") == "… and …"
    assert str(refusal(HttpError(404, "not_found", f"no {key}"))) == "no …"
    assert redacted("task-force of 2026-01-01") == "task-force of 2026-01-01"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "tenants"), ("GET", "keys/x"), ("POST", "tiers"), ("DELETE", "tiers/x"), ("GET", "audit"),
     ("GET", "catalogue"), ("GET", "export"), ("POST", "imports")],
)  # fmt: skip
async def test_a_store_that_is_gone(
    admin: httpx.AsyncClient, state: IngressState, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise RedisConnectionError("redis://:password@secret-host:6379 is gone")

    for pool in (state.live.store.redis.connection_pool,):
        monkeypatch.setattr(pool, "get_connection", gone)
    body = {"json": {"name": "x"}} if method == "POST" else {}
    reply = await admin.request(method, f"/admin/{path}", **body)
    assert int(reply.headers["retry-after"]) >= 1
    assert "secret-host" not in await refused(_given(reply), 503, "catalogue_unavailable")


async def _given(reply: httpx.Response) -> httpx.Response:
    return reply


async def test_a_body_that_is_wrong_in_very_many_places(
    admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is told is worked out: for all of it, this process would do nothing else for a quarter of a minute."""
    guessed = 0
    guess = whole._did_you_mean

    def counted(*args: Any) -> str:
        nonlocal guessed
        guessed += 1
        return guess(*args)

    monkeypatch.setattr(whole, "_did_you_mean", counted)
    body = {"name": "x", **{f"k{n}": 1 for n in range(10_000)}}
    message = await refused(admin.post("/admin/tiers", json=body), 422, "invalid_parameter")
    assert message.splitlines()[-1] == "and 9980 more"
    assert guessed == 20
