"""`POST /admin/dry-run` over HTTP; the replay itself has its tests in tests/policies."""

from datetime import datetime
from typing import Any

import httpx
import pytest

from deployments.ingress.state import IngressState
from policies import Charge, RateLimitPolicy
from tests.deployments.ingress.admin.conftest import bearer, ok, refused

BURST = {"name": "burst", "scope": "TENANT", "limit": 100, "window": "1m"}


@pytest.fixture
async def logged(admin: httpx.AsyncClient, state: IngressState) -> httpx.AsyncClient:
    """Eight requests of globex and two of acme in the log of a policy that the API made."""
    await ok(admin.post("/admin/policies", json=BURST))
    burst = RateLimitPolicy.model_validate(BURST)
    for tenant in ("globex",) * 8 + ("acme",) * 2:
        await state.limiter.acquire([Charge(burst, tenant, 1, f"tenant:{tenant}")])
    return admin


async def dry_run(client: httpx.AsyncClient, policy: dict[str, Any], **fields: Any) -> Any:
    return await ok(client.post("/admin/dry-run", json={"policy": policy, **fields}))


async def test_the_outcome(logged: httpx.AsyncClient) -> None:
    outcome = await dry_run(logged, {**BURST, "limit": 3})
    assert (outcome["source"], outcome["unit"], outcome["limit"], outcome["window_s"]) == ("burst", "requests", 3, 60.0)
    assert (outcome["subjects"], outcome["requests"], outcome["denied"]) == (2, 10, 5)
    assert (outcome["subjects_denied"], outcome["complete"]) == (1, True)
    (worst,) = outcome["worst"]
    assert (worst["subject"], worst["requests"], worst["denied"], worst["denied_cost"]) == ("globex", 8, 5, 5)
    assert outcome["first"] == worst
    times = [outcome["from"], worst["from"], worst["first_denied_at"], worst["to"], outcome["to"]]
    assert times == sorted(times, key=datetime.fromisoformat)
    assert len(outcome["notes"]) >= 2


async def test_another_policys_logs(logged: httpx.AsyncClient) -> None:
    proposed = {"name": "new", "scope": "TENANT", "limit": 1, "window": "1m"}
    assert (await dry_run(logged, proposed))["source"] == "burst"
    only = await dry_run(logged, proposed, **{"from": "burst", "subject": "acme"})
    assert (only["subjects"], only["requests"], only["denied"]) == (1, 2, 1)


async def test_nothing_is_written(logged: httpx.AsyncClient, state: IngressState) -> None:
    before = await state.live.store.head()
    await dry_run(logged, {**BURST, "limit": 3})
    assert await state.live.store.head() == before
    assert (await ok(logged.get("/admin/policies/burst")))["limit"] == 100


@pytest.mark.parametrize(
    ("policy", "fields", "says"),
    [
        ({**BURST, "scope": "MODEL", "name": "new"}, {}, "mode: shadow"),
        ({**BURST, "unit": "total_tokens", "name": "new"}, {}, "mode: shadow"),
        ({**BURST, "unit": "concurrent_requests"}, {}, "no history"),
        (BURST, {"from": "nope"}, "'nope' does not exist"),
        ({**BURST, "per": ["model"]}, {}, "per [model]"),
    ],
)
async def test_where_no_log_can_answer(
    logged: httpx.AsyncClient, policy: dict[str, Any], fields: dict[str, Any], says: str
) -> None:
    sent = logged.post("/admin/dry-run", json={"policy": policy, **fields})
    assert says in await refused(sent, 409, "no_history")


@pytest.mark.parametrize(
    "body", [{}, {"policy": {"name": "p"}}, {"policy": BURST, "form": "burst"}, {"policy": BURST, "source": "burst"}]
)
async def test_a_wrong_body(logged: httpx.AsyncClient, body: dict[str, Any]) -> None:
    await refused(logged.post("/admin/dry-run", json=body), 422, "invalid_parameter")


async def test_only_admins(logged: httpx.AsyncClient) -> None:
    for key in ("operator1", "gus1", "gateway1"):
        sent = logged.post("/admin/dry-run", json={"policy": BURST}, headers=bearer(key))
        await refused(sent, 403, "wrong_role")
