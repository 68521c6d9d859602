"""POST /v1/chat/completions: every answer of the contract, over a real Redis."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from deployments.ingress.state import IngressState
from deployments.router.contract import ModelFailedError, PoolUnavailableError, QueueFullError
from policies import Limiter
from tests.deployments.ingress.conftest import LocalPools, secret, use
from tests.policies.redis_server import RedisServer

CHAT = "/v1/chat/completions"


def ask(**fields: Any) -> dict[str, Any]:
    return {"model": "small", "messages": [{"role": "user", "content": "What is a sluice?"}], **fields}


def policy(name: str, scope: str = "TENANT", **fields: Any) -> dict[str, Any]:
    return {"name": name, "scope": scope, "limit": 2, "window": "1h", **fields}


async def used(client: httpx.AsyncClient) -> dict[str, int]:
    return {w["policy"]: w["used"] for w in (await client.get("/v1/limits")).json()["windows"]}


async def settled(state: IngressState) -> None:
    while state.settlement._tasks:
        await asyncio.wait(state.settlement._tasks)


async def test_a_plain_reply(client: httpx.AsyncClient) -> None:
    reply = await client.post(CHAT, json=ask())
    body = reply.json()
    assert reply.status_code == 200
    assert body["choices"][0]["message"]["content"].startswith("This reply is simulated")
    assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}
    assert reply.headers["x-sluice-model"] == "small"
    assert reply.headers["x-request-id"]


async def test_a_streamed_reply(client: httpx.AsyncClient) -> None:
    reply = await client.post(CHAT, json=ask(stream=True, stream_options={"include_usage": True}))
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
    assert text == (await client.post(CHAT, json=ask())).json()["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"]["completion_tokens"] == 5
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


async def test_usage_is_streamed_only_where_asked(client: httpx.AsyncClient) -> None:
    assert "usage" not in (await client.post(CHAT, json=ask(stream=True))).text


async def test_the_request_id_of_the_client_is_kept(client: httpx.AsyncClient) -> None:
    reply = await client.post(CHAT, json=ask(), headers={"x-request-id": "mine"})
    assert reply.headers.get_list("x-request-id") == ["mine"]


UNSUPPORTED_FORMAT = ("unsupported_parameter", "response_format")

REFUSED: dict[str, tuple[dict[str, str], bytes, int, str, str | None]] = {
    "no key": ({"authorization": ""}, b"{}", 401, "missing_api_key", None),
    "not bearer": ({"authorization": f"Basic {secret('gus1')}"}, b"{}", 401, "missing_api_key", None),
    "no such key": ({"authorization": f"Bearer {secret('nobody')}"}, b"{}", 401, "invalid_api_key", None),
    "wrong secret": ({"authorization": f"Bearer {secret('gus1')}x"}, b"{}", 401, "invalid_api_key", None),
    "header injection": ({"authorization": "Bearer sk-a\tb: c"}, b"{}", 401, "invalid_api_key", None),
    "expired": ({"authorization": f"Bearer {secret('expired')}"}, b"{}", 401, "expired_api_key", None),
    "revoked": ({"authorization": f"Bearer {secret('revoked')}"}, b"{}", 401, "invalid_api_key", None),
    "demo key, no demo": ({"authorization": f"Bearer {secret('demo-x')}"}, b"{}", 401, "invalid_api_key", None),
    "an admin's key": ({"authorization": f"Bearer {secret('admin1')}"}, b"{}", 403, "wrong_role", None),
    "no JSON": ({}, b"{'model': 1}", 400, "invalid_json", None),
    "empty body": ({}, b"", 400, "invalid_json", None),
    "not an object": ({}, b"[1]", 400, "invalid_json", None),
    "not UTF-8": ({}, b'{"model": "\xff"}', 400, "invalid_json", None),
    "nested deeply": ({}, b"[" * 4_000, 400, "invalid_json", None),
    "no model": ({}, json.dumps({"messages": ask()["messages"]}).encode(), 422, "invalid_parameter", "model"),
    "wrong type": ({}, json.dumps(ask(model=7)).encode(), 422, "invalid_parameter", "model"),
    "no messages": ({}, json.dumps(ask(messages=[])).encode(), 422, "invalid_parameter", "messages"),
    "wrong role": (
        {},
        json.dumps(ask(messages=[{"role": "king", "content": "x"}])).encode(),
        422,
        "invalid_parameter",
        "messages.0.role",
    ),
    "nine choices": ({}, json.dumps(ask(n=9)).encode(), 422, "invalid_parameter", "n"),
    "tools": ({}, json.dumps(ask(tools=[{"type": "function"}])).encode(), 400, "unsupported_parameter", "tools"),
    "JSON answers": ({}, json.dumps(ask(response_format={"type": "json_object"})).encode(), 400, *UNSUPPORTED_FORMAT),
    "a number as a text": ({}, json.dumps(ask(max_tokens="5")).encode(), 422, "invalid_parameter", "max_tokens"),
    "content": (
        {},
        json.dumps(ask(messages=[{"role": "user", "content": 5}])).encode(),
        422,
        "invalid_parameter",
        "messages.0.content",
    ),
    "no such model": ({}, json.dumps(ask(model="nope")).encode(), 404, "model_not_found", "model"),
    "injection in a model": ({}, json.dumps(ask(model="a\r\nx-evil: 1")).encode(), 404, "model_not_found", "model"),
    "too large": ({}, b" " * 4097, 413, "body_too_large", None),
}


@pytest.mark.parametrize(
    ("headers", "body", "status", "code", "param"), [pytest.param(*case, id=name) for name, case in REFUSED.items()]
)
async def test_bad_input(
    client: httpx.AsyncClient, headers: dict[str, str], body: bytes, status: int, code: str, param: str | None
) -> None:
    reply = await client.post(CHAT, content=body, headers=headers)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["message"]
    assert "sssss" not in reply.text, "a key must never be repeated"
    assert "x-evil" not in reply.headers
    assert (await client.post(CHAT, json=ask())).status_code == 200, "the server goes on"


async def test_an_error_names_the_number_and_no_text(client: httpx.AsyncClient) -> None:
    reply = await client.post(CHAT, json=ask(temperature=3))
    assert reply.json()["error"]["message"] == (
        "temperature is wrong: Input should be less than or equal to 2 (got 3)."
    )
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "private"}}]}]
    message = (await client.post(CHAT, json=ask(messages=image))).json()["error"]["message"]
    assert message == (
        'messages.0.content is wrong: Input should be a string or a list of {"type": "text", "text": …} parts.'
    )
    assert (await client.post(CHAT, json=ask(response_format={"type": "text"}, tools=[]))).status_code == 200


async def test_a_body_of_unknown_length_is_limited_too(client: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1_000

    assert (await client.post(CHAT, content=endless())).status_code == 413


async def test_a_key_for_some_models_only(client: httpx.AsyncClient) -> None:
    client.headers["authorization"] = f"Bearer {secret('onlysmall')}"
    assert (await client.post(CHAT, json=ask(model="default"))).status_code == 200
    reply = await client.post(CHAT, json=ask(model="large"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "model_not_allowed")
    assert [m["id"] for m in (await client.get("/v1/models")).json()["data"]] == ["small", "default"]


async def test_a_limit_reached(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, policy("hourly"), policy("roomy", "GLOBAL", limit=100, window="1m"))
    replies = [await client.post(CHAT, json=ask()) for _ in range(3)]
    assert [r.status_code for r in replies] == [200, 200, 429]
    assert [r.headers["x-ratelimit-remaining-requests"] for r in replies] == ["1", "0", "0"]
    denied = replies[2]
    error = denied.json()["error"]
    assert (error["type"], error["code"], error["policy"], error["scope"]) == (
        "requests",
        "rate_limit_exceeded",
        "hourly",
        "TENANT",
    )
    wait_ms = int(denied.headers["retry-after-ms"])
    assert 3_590_000 < wait_ms <= 3_600_000
    assert int(denied.headers["retry-after"]) == -(-wait_ms // 1000)
    assert denied.headers["x-should-retry"] == "false"
    assert denied.headers["ratelimit-policy"] == '"hourly";q=2;w=3600,"roomy";q=100;w=60'
    assert denied.headers["ratelimit"].startswith('"hourly";r=0;t=3')
    assert '"roomy";r=98;' in denied.headers["ratelimit"]
    assert await used(client) == {"hourly": 2, "roomy": 2}, "a denial is logged nowhere"


async def test_a_short_wait_may_be_retried(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, policy("burst", limit=1, window="400ms"))
    await client.post(CHAT, json=ask())
    denied = await client.post(CHAT, json=ask())
    assert denied.status_code == 429
    assert denied.headers["retry-after"] == "1"
    assert "x-should-retry" not in denied.headers
    await asyncio.sleep(int(denied.headers["retry-after-ms"]) / 1000)
    assert (await client.post(CHAT, json=ask())).status_code == 200


async def test_a_cost_that_no_window_can_hold(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, policy("tokens", unit="output_tokens", limit=50))
    reply = await client.post(CHAT, json=ask(max_tokens=51))
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["policy"]) == (400, "request_exceeds_limit", "tokens")
    assert "retry-after" not in reply.headers


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_are_reserved_then_settled(client: httpx.AsyncClient, state: IngressState, stream: bool) -> None:
    use(state, policy("tokens", unit="total_tokens", limit=1_000))
    reply = await client.post(CHAT, json=ask(max_tokens=500, stream=stream))
    assert int(reply.headers["x-ratelimit-remaining-tokens"]) < 500, "reserved before"
    await settled(state)
    assert await used(client) == {"tokens": 9}, "what was really used after"


async def test_slots_that_are_taken_are_soon_asked_for_again(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, {"name": "slots", "scope": "TENANT", "unit": "concurrent_requests", "limit": 1})
    replies = await asyncio.gather(*(client.post(CHAT, json=ask()) for _ in range(5)))
    denied = [reply for reply in replies if reply.status_code == 429]
    assert len(denied) == 4
    assert denied[0].headers["retry-after-ms"] == "1000", "a lease's 30 s are no estimate of when a request ends"
    assert denied[0].json()["error"]["message"].endswith("Try again in 1 s.")


async def test_a_slot_is_held_while_a_request_runs(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, policy("slots", unit="concurrent_requests", limit=2, window="10s"))
    codes = [r.status_code for r in await asyncio.gather(*(client.post(CHAT, json=ask()) for _ in range(5)))]
    assert sorted(codes) == [200, 200, 429, 429, 429]
    await settled(state)
    assert await used(client) == {"slots": 0}


@pytest.mark.parametrize(
    ("failure", "status", "code", "counted"),
    [
        (QueueFullError("full"), 429, "queue_full", 0),
        (PoolUnavailableError("gone"), 503, "model_unavailable", 0),
        (ModelFailedError("broke"), 500, "model_failed", 1),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_fails_before_it_ran_is_given_back(
    client: httpx.AsyncClient,
    state: IngressState,
    pools: LocalPools,
    failure: Exception,
    status: int,
    code: str,
    counted: int,
    stream: bool,
) -> None:
    use(state, policy("hourly"), policy("slots", unit="concurrent_requests", window="10s"))
    pools.failure = failure
    reply = await client.post(CHAT, json=ask(stream=stream))
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    await settled(state)
    assert await used(client) == {"hourly": counted, "slots": 0}


async def test_a_failure_in_mid_stream_arrives_as_an_event(
    client: httpx.AsyncClient, state: IngressState, pools: LocalPools
) -> None:
    class Breaks:
        async def generate_stream(self, _: Any) -> Any:
            yield b"data: {}\n\n", 1, None
            raise ModelFailedError("broke")

    pools.services["small"] = Breaks()
    reply = await client.post(CHAT, json=ask(stream=True))
    assert reply.status_code == 200
    last = reply.text.strip().split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "model_failed"


async def test_a_stream_that_stops_before_its_end_does_not_look_whole(
    client: httpx.AsyncClient, pools: LocalPools
) -> None:
    class Stops:
        async def generate_stream(self, _: Any) -> Any:
            yield b"data: {}\n\n", 1, None

    pools.services["small"] = Stops()
    reply = await client.post(CHAT, json=ask(stream=True))
    last = reply.text.strip().split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "model_failed"


async def test_our_deadline_ends_a_request(client: httpx.AsyncClient, state: IngressState, pools: LocalPools) -> None:
    class Hangs:
        async def generate(self, _: Any) -> Any:
            await asyncio.sleep(60)

    pools.services["small"] = Hangs()
    object.__setattr__(state.settings, "request_deadline_s", 0.2)
    use(state, policy("slots", unit="concurrent_requests", window="10s"))
    reply = await client.post(CHAT, json=ask(), headers={"x-request-timeout-seconds": "-1"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "deadline_exceeded")
    await settled(state)
    assert await used(client) == {"slots": 0}


async def test_leaving_early_gives_no_tokens_for_nothing(
    client: httpx.AsyncClient, state: IngressState, pools: LocalPools
) -> None:
    class Hangs:
        async def generate(self, _: Any) -> Any:
            await asyncio.sleep(60)

    pools.services["small"] = Hangs()
    use(state, policy("tokens", unit="total_tokens", limit=1_000))
    request = asyncio.create_task(client.post(CHAT, json=ask(max_tokens=500)))
    while (await used(client))["tokens"] == 0:
        await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await settled(state)
    assert (await used(client))["tokens"] > 500


async def test_a_client_that_leaves_gives_its_slot_back(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, policy("slots", unit="concurrent_requests", window="10s"))
    request = asyncio.create_task(client.post(CHAT, json=ask(model="large", max_tokens=5)))
    while (await used(client))["slots"] == 0:
        await asyncio.sleep(0)
    request.cancel()  # what Ray Serve does with the request of a client that has gone
    with pytest.raises(asyncio.CancelledError):
        await request
    await settled(state)
    assert await used(client) == {"slots": 0}


async def test_without_redis_requests_are_refused_and_the_server_goes_on(
    client: httpx.AsyncClient, state: IngressState, redis_server: RedisServer
) -> None:
    use(state, policy("hourly"))
    working = state.limiter
    state.limiter = Limiter(Redis(unix_socket_path=redis_server.socket + "-not-there"))
    reply = await client.post(CHAT, json=ask())
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "limits_unavailable")
    assert int(reply.headers["retry-after"]) >= 1
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert "store" in ready.json()["problems"][0]
    state.limiter = working
    assert (await client.post(CHAT, json=ask())).status_code == 200
