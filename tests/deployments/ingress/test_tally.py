"""What the ingress counts of real requests, by the names that operators see; and how little of it may be told apart."""

from dataclasses import replace

import httpx
import pytest
from redis.asyncio import Redis

from deployments.ingress import tally as tally_module
from deployments.ingress.errors import told_of_denial
from deployments.ingress.state import IngressState
from deployments.ingress.tally import Tally, outcome_of
from deployments.metrics.definitions import METRICS, NONE, OTHER
from policies import Limiter
from tests.deployments.ingress.conftest import secret, use
from tests.deployments.ingress.live.test_recorder import decision
from tests.deployments.ingress.test_decisions import KEYS

CHAT = {"model": "small", "max_tokens": 5, "messages": [{"role": "user", "content": "Hello there"}]}
ONE = {"name": "one", "scope": "API_KEY", "limit": 1, "window": "1m"}


def told(source: Tally, name: str) -> dict[tuple[str, ...], float]:
    """Every series of a name, by its labels' values."""
    return {tuple(value for _, value in each.labels): each.value for each in source.readings() if each.name == name}


async def test_a_request_counts_where_it_ended(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, ONE)
    assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
    assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 429
    assert (await client.post("/v1/chat/completions", json={**CHAT, "model": "none"})).status_code == 404
    wrong = {"authorization": "Bearer sk-nobody-" + "x" * 24}
    assert (await client.post("/v1/chat/completions", json=CHAT, headers=wrong)).status_code == 401
    band = "standard"
    assert told(state.tally, "sluice_requests") == {
        ("served", band, "small"): 1,
        ("denied", band, "small"): 1,
        ("refused", band, NONE): 1,
        ("refused", NONE, NONE): 1,
    }
    decisions = told(state.tally, "sluice_decisions")
    assert decisions == {("allowed", "API_KEY", "one", "requests"): 1, ("denied", "API_KEY", "one", "requests"): 1}
    tokens = told(state.tally, "sluice_tokens")
    assert tokens["output", band, "small"] == 5
    assert tokens["input", band, "small"] > 0
    assert told(state.tally, "sluice_check_seconds_count") == {(): 2}
    assert told(state.tally, "sluice_admission_seconds_count") == {(band,): 1}
    assert told(state.tally, "sluice_request_seconds_count") == {(band,): 1}
    assert told(state.tally, "sluice_first_token_seconds_count") == {}
    await state.settlement.close()
    assert told(state.tally, "sluice_settlements") == {}, "a request that is charged for itself alone has none"
    assert told(state.tally, "sluice_redis_exchange_seconds_count") == {(): 2}


async def test_a_settlement_counts_where_there_is_one(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, {**ONE, "unit": "concurrent_requests"})
    await client.post("/v1/chat/completions", json=CHAT)
    await state.settlement.close()
    assert told(state.tally, "sluice_settlements") == {("settled",): 1}


async def test_a_stream_has_a_first_token(client: httpx.AsyncClient, state: IngressState) -> None:
    await client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert told(state.tally, "sluice_first_token_seconds_count") == {("standard",): 1}


async def test_what_never_ran_is_undone(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, ONE)
    await client.post("/v1/chat/completions", json={**CHAT, "model": "ghost"})
    assert told(state.tally, "sluice_requests") == {("failed", "standard", "ghost"): 1}
    await state.settlement.close()
    assert told(state.tally, "sluice_settlements") == {("undone",): 1}


async def test_a_decision_for_another_gateway_counts(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, ONE, keys=KEYS)
    reply = await client.post(
        "/v1/decisions",
        json={"key": secret("gus1"), "model": "small", "input_tokens": 3},
        headers={"authorization": f"Bearer {secret('gate1')}"},
    )
    assert reply.status_code == 200, reply.text
    assert told(state.tally, "sluice_decisions") == {("allowed", "API_KEY", "one", "requests"): 1}


def test_a_shadow_policy_says_what_it_would_deny() -> None:
    limiter = _limiter()
    tally = Tally(limiter)
    limiter.would_have_denied["burst"] += 1  # as the limiter does
    tally.decided(decision(5, mode="shadow"), 0.001)
    expected = {("allowed", "TENANT", "burst", "requests"): 1, ("would_deny", "TENANT", "burst", "requests"): 1}
    assert told(tally, "sluice_decisions") == expected
    assert told(tally, "sluice_decisions") == expected, "reading counts nothing twice"
    assert not limiter.would_have_denied, "names of policies that are gone would stay for ever"


def test_a_denial_counts_under_the_policy_that_the_client_is_told() -> None:
    slots, rate = decision(5, unit="concurrent_requests", name="slots"), decision(5, name="rate")
    windows = (slots.windows[0]._replace(retry_after_s=60.0), rate.windows[0]._replace(retry_after_s=5.0))
    denied = replace(slots, windows=windows, denied_by="slots", retry_after_s=60.0)
    tally = Tally(_limiter())
    tally.decided(denied, 0.001)
    assert told_of_denial(denied)["policy"] == "rate"
    assert told(tally, "sluice_decisions") == {("denied", "TENANT", "rate", "requests"): 1}


def test_every_shadow_policy_is_known_by_its_scope_and_unit() -> None:
    limiter = _limiter()
    tally = Tally(limiter)
    for name in ("first", "second"):  # denied by the same policy, within one reading
        limiter.would_have_denied[name] += 1
        shadow, denied = decision(5, mode="shadow", name=name), decision(5)
        tally.decided(replace(denied, windows=denied.windows + shadow.windows), 0.001)
    assert told(tally, "sluice_decisions") == {
        ("denied", "TENANT", "burst", "requests"): 2,
        ("would_deny", "TENANT", "first", "requests"): 1,
        ("would_deny", "TENANT", "second", "requests"): 1,
    }


def test_what_nobody_reads_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "MOST_KINDS", 3)
    tally = Tally(_limiter(), most_names=2)
    for number in range(20):
        tally.decided(decision(0, name=f"p{number}"), 0.001)
    assert len(tally._decided) <= 3
    assert sum(told(tally, "sluice_decisions").values()) == 20


def test_policies_beyond_the_most_are_counted_together() -> None:
    tally = Tally(_limiter(), most_names=2)
    for round_ in range(3):
        for name in ("a", "b", "c", "d"):
            tally.decided(decision(0, name=name), 0.001)
        assert told(tally, "sluice_decisions") == {
            ("allowed", "TENANT", name, "requests"): count * (round_ + 1)
            for name, count in (("a", 1), ("b", 1), (OTHER, 2))
        }


async def test_neither_tenants_nor_keys_are_labels(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, ONE)
    for _ in range(2):
        await client.post("/v1/chat/completions", json=CHAT)
    defined = {label for each in METRICS for label in each.labels}
    seen = [pair for each in state.tally.readings() for pair in each.labels]
    assert ("policy", "one") in seen
    assert {label for label, _ in seen} <= defined | {"le"}
    assert not {value for _, value in seen} & {"gus", "gus1", "globex"}


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (200, None, "served"),
        (499, None, "left"),
        (500, None, "failed"),
        (429, "rate_limit_exceeded", "denied"),
        (429, "queue_full", "shed"),
        (429, "queue_timeout", "shed"),
        (429, "too_many_failed_authentications", "refused"),
        (401, "invalid_api_key", "refused"),
        (503, "model_unavailable", "failed"),
    ],
)
def test_outcomes(status: int, code: str | None, outcome: str) -> None:
    assert outcome_of(status, code) == outcome


def _limiter() -> Limiter:
    return Limiter(Redis())  # never asked
