"""Keys: what is accepted, how often an address may try, and that nothing of a key or a prompt is ever repeated."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from deployments.ingress.app import create_app
from deployments.ingress.authentication import key_id, sha256_of
from deployments.ingress.state import IngressSettings, IngressState
from policies.catalogue import Actor
from tests.deployments.ingress.conftest import CATALOGUE, _key, secret, use
from tests.policies.redis_server import RedisServer

ACTOR = Actor("admin1", "paula", "acme")


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def guess(number: int) -> str:
    return f"sk-guess{number}-{'g' * 24}"


@pytest.mark.parametrize(
    ("presented", "found"),
    [
        ("sk-demo-premium", "demo-premium"),
        ("sk-abc-" + "x" * 16, "abc"),
        ("sk-abc-" + "x" * 15, None),
        ("sk-abc-" + "x" * 129, None),
        ("sk-" + "a" * 65 + "-" + "x" * 16, None),
        ("sk-abc-" + "x" * 16 + "\n", None),
        ("sk-äbc-" + "x" * 16, None),
        ("sk-a*c-" + "x" * 16, None),
        ("pk-abc-" + "x" * 16, None),
        ("", None),
    ],
)
def test_which_key_it_claims_to_be(presented: str, found: str | None) -> None:
    assert key_id(presented) == found


async def test_both_secrets_work_while_a_rotation_overlaps(client: httpx.AsyncClient, state: IngressState) -> None:
    issued = await state.editor.issue_key(ACTOR, user="gus", key_id="turning")
    rotated = await state.editor.rotate_key("turning", ACTOR, overlap_ms=60_000)
    await state.live.seen(rotated.stored.version, 5)

    async def statuses() -> list[int]:
        return [
            (await client.get("/v1/models", headers=bearer(k))).status_code for k in (issued.secret, rotated.secret)
        ]

    assert await statuses() == [200, 200]
    over = datetime.now(UTC) - timedelta(milliseconds=1)
    stored = rotated.stored.entity.model_copy(update={"previous_until": over})
    await state.live.seen((await state.editor.put(stored, ACTOR)).version, 5)
    assert await statuses() == [401, 200]


# How often an address may try ---------------------------------------------------------------------------------


@pytest.fixture
async def limited(client: httpx.AsyncClient, state: IngressState) -> httpx.AsyncClient:
    """A client of an ingress that lets each address fail five times a minute."""
    return _replaced(client, state, failed_authentications_per_minute=5)


def _replaced(client: httpx.AsyncClient, state: IngressState, **settings: Any) -> httpx.AsyncClient:
    made = IngressState(IngressSettings(**settings), state.limiter, state.pools, state.live)
    made.has_catalogue = True
    transport = httpx.ASGITransport(create_app(made), raise_app_exceptions=False, client=("198.51.100.7", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://sluice", headers=client.headers)


async def tried(client: httpx.AsyncClient, key: str) -> tuple[int, str]:
    reply = await client.get("/v1/models", headers=bearer(key))
    return reply.status_code, "" if reply.is_success else reply.json()["error"]["code"]


WRONG, TOO_MANY = (401, "invalid_api_key"), (429, "too_many_failed_authentications")


async def test_too_many_wrong_keys(limited: httpx.AsyncClient, state: IngressState) -> None:
    unused = (await state.editor.issue_key(ACTOR, user="gus")).secret
    assert [await tried(limited, guess(n)) for n in range(7)] == [WRONG] * 5 + [TOO_MANY] * 2
    reply = await limited.get("/v1/models", headers=bearer(guess(8)))
    assert 55 < int(reply.headers["retry-after"]) <= 60
    assert "www-authenticate" not in reply.headers
    assert reply.json()["error"]["type"] == "authentication_error"
    # Whoever is known here is not locked out by others behind the same address; whoever is not has to wait.
    assert await tried(limited, secret("gus1")) == (200, "")
    assert await tried(limited, unused) == TOO_MANY
    assert await tried(limited, secret("gus1") + "x") == TOO_MANY


async def test_a_key_of_the_api_that_was_used_before_stays_in(limited: httpx.AsyncClient, state: IngressState) -> None:
    issued = await state.editor.issue_key(ACTOR, user="gus")
    await state.live.seen(issued.stored.version, 5)
    assert await tried(limited, issued.secret) == (200, "")
    for n in range(6):
        await tried(limited, guess(n))
    assert await tried(limited, issued.secret) == (200, "")


@pytest.mark.parametrize("wrong", ["sk-x", "Bearer", secret("gus1") + "x", secret("revoked"), secret("demo-x")])
async def test_every_wrong_key_counts(limited: httpx.AsyncClient, wrong: str) -> None:
    assert [await tried(limited, wrong) for _ in range(6)] == [WRONG] * 5 + [TOO_MANY]


async def test_no_key_at_all_tries_nothing(limited: httpx.AsyncClient) -> None:
    for _ in range(10):
        assert (await limited.get("/v1/models", headers={"authorization": ""})).status_code == 401
    assert await tried(limited, guess(1)) == WRONG


async def test_addresses_are_told_apart_behind_a_trusted_proxy(client: httpx.AsyncClient, state: IngressState) -> None:
    behind = _replaced(client, state, failed_authentications_per_minute=2, trusted_proxies=("198.51.100.0/24",))
    for n, address in enumerate(("203.0.113.1", "203.0.113.2", "2001:db8::1")):
        headers = {"x-forwarded-for": f"9.9.9.9, {address}"}
        replies = [await behind.get("/v1/models", headers={**bearer(guess(n)), **headers}) for _ in range(3)]
        assert [reply.status_code for reply in replies] == [401, 401, 429]
    same = {**bearer(guess(9)), "x-forwarded-for": "2001:db8::ffff"}
    assert (await behind.get("/v1/models", headers=same)).status_code == 429


async def test_a_client_cannot_choose_its_address(limited: httpx.AsyncClient) -> None:
    found = [
        (await limited.get("/v1/models", headers={**bearer(guess(n)), "x-forwarded-for": f"203.0.113.{n}"})).status_code
        for n in range(7)
    ]
    assert found == [401] * 5 + [429] * 2


async def test_no_limit_where_it_is_switched_off(client: httpx.AsyncClient, state: IngressState) -> None:
    unlimited = _replaced(client, state, failed_authentications_per_minute=0)
    assert {await tried(unlimited, guess(n)) for n in range(50)} == {WRONG}


async def test_a_flood_of_wrong_keys_asks_redis_no_more_than_the_limit(
    limited: httpx.AsyncClient, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, state: IngressState
) -> None:
    asked = 0
    identify = state.live.store.identify

    async def counted(identifier: str) -> Any:
        nonlocal asked
        asked += 1
        return await identify(identifier)

    monkeypatch.setattr(state.live.store, "identify", counted)
    outcomes = await asyncio.gather(*(tried(limited, guess(n)) for n in range(200)))
    assert (outcomes.count(WRONG), outcomes.count(TOO_MANY), asked) == (5, 195, 5)


async def test_one_wrong_key_asks_redis_once(
    limited: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, state: IngressState
) -> None:
    asked = []
    identify = state.live.store.identify

    async def counted(identifier: str) -> Any:
        asked.append(identifier)
        return await identify(identifier)

    monkeypatch.setattr(state.live.store, "identify", counted)
    for _ in range(10):
        await tried(limited, guess(1))
    assert asked == ["guess1"]


# What is never repeated ---------------------------------------------------------------------------------------

PROMPT = "the quick brown prompt that nobody else may read"


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


async def test_no_key_and_no_prompt_in_any_answer_or_log(
    client: httpx.AsyncClient, state: IngressState, everything_logged: pytest.LogCaptureFixture
) -> None:
    use(
        state,
        {"name": "p", "scope": "TENANT", "limit": 2, "window": "1m"},
        keys=[*CATALOGUE["keys"], _key("gate1", "gus", role="gateway")],
    )
    limited = _replaced(client, state, failed_authentications_per_minute=5)
    wrong = [guess(1), secret("gus1") + "x", secret("revoked"), secret("expired"), "sk-nonsense"]
    right = [secret("gus1"), secret("paula1"), secret("gate1")]
    message = {"model": "small", "messages": [{"role": "user", "content": PROMPT}]}
    bodies: list[Any] = [
        message,
        {**message, "temperature": PROMPT},
        {**message, "tools": [PROMPT]},
        {**message, "messages": [{"role": PROMPT, "content": PROMPT}]},
        {"model": "small", "key": secret("gus1"), "prompt": PROMPT},
        {"model": "small", "key": guess(3)},
        {"model": "small", "key": secret("gus1") * 9},
        [PROMPT, secret("gus1")],
    ]
    replies = []
    for key in [*right, *wrong, *wrong]:
        for path in ("/v1/chat/completions", "/v1/decisions", "/v1/decisions/x/settle", "/admin/dry-run"):
            for body in bodies:
                replies.append(await limited.post(path, json=body, headers=bearer(key)))
            broken = json.dumps(message)[:-9]
            headers = {**bearer(key), "content-type": "application/json"}
            replies.append(await limited.post(path, content=broken, headers=headers))
        for path in ("/v1/models", "/v1/limits", "/admin/usage", "/admin/explain?api_key=gus1&model=small"):
            replies.append(await limited.get(path, headers=bearer(key)))
    assert {reply.status_code for reply in replies} >= {200, 400, 401, 403, 422, 429}
    shown = everything_logged.text + "".join(reply.text + str(reply.headers) for reply in replies)
    assert PROMPT not in shown
    for key in (*right, *wrong):
        assert key not in shown
        assert sha256_of(key) not in shown
    assert "g" * 24 not in shown
    assert "s" * 24 not in shown
    assert not [reply for reply in replies if "set-cookie" in reply.headers]
