"""Slots, queues, splits and fallback chains, over HTTP: the real router's work in this process."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from deployments.ingress.state import IngressState
from deployments.router.contract import PoolUnavailableError
from deployments.router.scheduler import BandSettings, QosSettings
from tests.deployments.ingress.conftest import CATALOGUE, LocalPools, secret, use

CHAT = "/v1/chat/completions"


class Gate:
    """A model whose replies come when they are let through."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.running = 0

    async def generate(self, call: dict[str, Any]) -> tuple[bytes, dict[str, int]]:
        self.running += 1
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        return call["model"].encode(), {"input_tokens": 1, "output_tokens": 1}


def ask(model: str = "small", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}


def policy(name: str, scope: str = "TENANT", **fields: Any) -> dict[str, Any]:
    return {"name": name, "scope": scope, "limit": 10, "window": "1h", **fields}


def models(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The test's catalogue of models, with some fields of some of them changed."""
    return [{**model, **changes.get(model["name"], {})} for model in CATALOGUE["models"]]


async def used(client: httpx.AsyncClient, model: str = "small") -> dict[str, int]:
    windows = (await client.get("/v1/limits", params={"model": model})).json()["windows"]
    return {window["policy"]: window["used"] for window in windows}


async def _come_to(client: httpx.AsyncClient, **expected: int) -> None:
    """What is taken back is taken back in the background: these windows come to hold this much."""
    async with asyncio.timeout(10):
        while (found := await used(client)) != expected:
            assert found.keys() == expected.keys()
            await asyncio.sleep(0.005)


@pytest.fixture
def gate(pools: LocalPools) -> Gate:
    gate = pools.services["small"] = Gate()
    pools.slots["small"] = 1
    return gate


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def _taken(client: httpx.AsyncClient, gate: Gate) -> "asyncio.Task[httpx.Response]":
    """A request that has the only slot."""
    request = asyncio.create_task(client.post(CHAT, json=ask()))
    await _until(lambda: gate.running)
    return request


async def test_what_waits_runs_when_a_slot_is_free(client: httpx.AsyncClient, pools: LocalPools, gate: Gate) -> None:
    requests = [asyncio.create_task(client.post(CHAT, json=ask())) for _ in range(5)]
    await _until(lambda: pools.router.book.waiting()["small"] == 4 and gate.running)
    assert gate.running == 1
    gate.open.set()
    assert [r.status_code for r in await asyncio.gather(*requests)] == [200] * 5


async def test_a_full_queue(client: httpx.AsyncClient, state: IngressState, pools: LocalPools, gate: Gate) -> None:
    names = ("internal", "premium", "standard", "batch")
    pools.qos = QosSettings(bands=tuple(BandSettings(name=name, queue_bound=1) for name in names))
    use(state, policy("hourly"))
    running, waiting = (
        await _taken(client, gate),
        asyncio.create_task(client.post(CHAT, json=ask())),
    )
    await _until(lambda: pools.router.book.waiting()["small"])
    refused = await client.post(CHAT, json=ask())
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["type"]) == (429, "queue_full", "requests")
    assert int(refused.headers["retry-after"]) == -(-int(refused.headers["retry-after-ms"]) // 1000)
    await _come_to(client, hourly=2)  # what did not run is not charged
    gate.open.set()
    assert (await running).status_code == (await waiting).status_code == 200


async def test_a_client_may_be_less_patient(client: httpx.AsyncClient, pools: LocalPools, gate: Gate) -> None:
    running = await _taken(client, gate)
    refused = await client.post(CHAT, json=ask(), headers={"x-sluice-queue-timeout-ms": "100"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_timeout")
    assert int(refused.headers["retry-after-ms"]) > 0
    gate.open.set()
    assert (await running).status_code == 200
    now_or_never = await client.post(CHAT, json=ask(), headers={"x-sluice-queue-timeout-ms": "0"})
    assert now_or_never.status_code == 200, "a slot is free"


async def test_a_client_cannot_be_more_patient_than_its_band(
    client: httpx.AsyncClient, pools: LocalPools, gate: Gate
) -> None:
    names = ("internal", "premium", "standard", "batch")
    pools.qos = QosSettings(bands=tuple(BandSettings(name=name, longest_wait=200) for name in names))
    running = await _taken(client, gate)
    refused = await client.post(CHAT, json=ask(), headers={"x-sluice-queue-timeout-ms": "99999999"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_timeout")
    gate.open.set()
    assert (await running).status_code == 200


@pytest.mark.parametrize("value", ["-1", "1.5", "soon", "", "9" * 13, "٣"])
async def test_a_patience_that_is_no_number(client: httpx.AsyncClient, value: str) -> None:
    reply = await client.post(CHAT, json=ask(), headers=[(b"x-sluice-queue-timeout-ms", value.encode())])
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_header")


async def test_premium_goes_first(client: httpx.AsyncClient, pools: LocalPools, gate: Gate) -> None:
    served: list[str] = []

    async def request(key: str) -> None:
        reply = await client.post(CHAT, json=ask(), headers={"authorization": f"Bearer {secret(key)}"})
        assert reply.status_code == 200
        served.append(key)

    names = ("internal", "premium", "standard", "batch")
    pools.qos = QosSettings(bands=tuple(BandSettings(name=name) for name in names), lease_block=0)
    running = await _taken(client, gate)
    jobs = [asyncio.create_task(request("gus1")) for _ in range(3)]
    await _until(lambda: pools.router.book.waiting()["small"] == 3)
    jobs.append(asyncio.create_task(request("paula1")))
    await _until(lambda: pools.router.book.waiting()["small"] == 4)
    gate.open.set()
    await asyncio.gather(running, *jobs)
    assert served[0] == "paula1"


async def test_a_client_that_leaves_is_out_of_the_queue(
    client: httpx.AsyncClient, state: IngressState, pools: LocalPools, gate: Gate
) -> None:
    use(state, policy("hourly"), {"name": "slots", "scope": "TENANT", "unit": "concurrent_requests", "limit": 5})
    running = await _taken(client, gate)
    waiting = asyncio.create_task(client.post(CHAT, json=ask()))
    await _until(lambda: pools.router.book.waiting()["small"])
    waiting.cancel()
    await _until(lambda: not pools.router.book.waiting()["small"])
    await asyncio.gather(waiting, return_exceptions=True)
    await _come_to(client, hourly=1, slots=1)
    gate.open.set()
    assert (await running).status_code == 200


async def test_a_full_pool_falls_back(client: httpx.AsyncClient, state: IngressState, gate: Gate) -> None:
    only_small = policy("small-only", "MODEL", match={"model": "small"})
    only_large = policy("large-only", "MODEL", match={"model": "large"})
    chain = models(small={"fallback": ["large"], "fallback_after": "100ms"})
    use(state, only_small, only_large, policy("both", limit=3), models=chain)
    running = await _taken(client, gate)
    reply = await client.post(CHAT, json=ask())
    assert reply.status_code == 200
    assert reply.headers["x-sluice-model"] == reply.json()["model"] == "large"
    assert '"large-only"' in reply.headers["ratelimit-policy"]
    assert '"small-only"' not in reply.headers["ratelimit-policy"]
    await _come_to(client, **{"small-only": 1, "both": 2})
    assert await used(client, "large") == {"large-only": 1, "both": 2}
    assert (await client.post(CHAT, json=ask())).status_code == 200, "the third of three, charged once"
    gate.open.set()
    assert (await running).status_code == 200


async def test_what_waits_for_less_than_the_fallback_is_served_by_the_model_asked_for(
    client: httpx.AsyncClient, state: IngressState, pools: LocalPools, gate: Gate
) -> None:
    use(state, models=models(small={"fallback": ["large"], "fallback_after": "10s"}))
    running = await _taken(client, gate)
    waiting = asyncio.create_task(client.post(CHAT, json=ask()))
    await _until(lambda: pools.router.book.waiting()["small"])
    gate.open.set()
    assert (await waiting).headers["x-sluice-model"] == "small"
    assert (await running).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_pool_that_cannot_serve_falls_back_at_once(
    client: httpx.AsyncClient, state: IngressState, pools: LocalPools, stream: bool
) -> None:
    class Gone:
        async def generate(self, _: Any) -> Any:
            raise PoolUnavailableError("no replica lives")

        async def generate_stream(self, _: Any) -> Any:
            raise PoolUnavailableError("no replica lives")
            yield b"", 0, None

    pools.services["small"] = Gone()
    use(state, policy("hourly"), models=models(small={"fallback": ["ghost", "large"], "fallback_after": "1h"}))
    reply = await client.post(CHAT, json=ask(stream=stream))
    assert reply.status_code == 200
    assert reply.headers["x-sluice-model"] == "large"
    await _come_to(client, hourly=1)


async def test_a_limit_of_the_model_asked_for_holds_whatever_it_could_fall_back_to(
    client: httpx.AsyncClient, state: IngressState
) -> None:
    tight = policy("tight", "MODEL", limit=1, match={"model": "small"})
    use(state, tight, models=models(small={"fallback": ["large"]}))
    assert (await client.post(CHAT, json=ask())).status_code == 200
    denied = await client.post(CHAT, json=ask())
    assert (denied.status_code, denied.json()["error"]["policy"]) == (429, "tight")


async def test_a_fallback_whose_limits_deny_leaves_the_first_answer(
    client: httpx.AsyncClient, state: IngressState, gate: Gate
) -> None:
    tight = policy("tight", "MODEL", limit=1, match={"model": "large"})
    chain = models(small={"fallback": ["large"], "fallback_after": "100ms"})
    use(state, tight, policy("hourly"), models=chain)
    running = await _taken(client, gate)
    assert (await client.post(CHAT, json=ask())).headers["x-sluice-model"] == "large"
    refused = await client.post(CHAT, json=ask())
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_timeout")
    await _come_to(client, hourly=2)
    gate.open.set()
    assert (await running).status_code == 200


async def test_what_nobody_served_is_answered_as_by_the_first(
    client: httpx.AsyncClient, state: IngressState, pools: LocalPools
) -> None:
    del pools.services["large"]
    first = policy("small-only", "MODEL", match={"model": "small"})
    tight = policy("tight", "MODEL", limit=1, match={"model": "ghost"})
    chain = models(small={"pool": "gone", "fallback": ["large", "ghost"]})
    use(state, first, tight, models=chain)
    for _ in range(2):
        reply = await client.post(CHAT, json=ask())
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "model_unavailable")
        assert "'small'" in reply.json()["error"]["message"]
        assert '"small-only"' in reply.headers["ratelimit-policy"]
        assert "x-sluice-model" not in reply.headers, "nobody served"
    await _come_to(client, **{"small-only": 0})


async def test_a_lost_replica_served_nobody(client: httpx.AsyncClient, pools: LocalPools) -> None:
    class Lost:
        async def generate(self, _: Any) -> Any:
            raise PoolUnavailableError("the replica died")

    pools.services["small"] = Lost()
    reply = await client.post(CHAT, json=ask())
    assert reply.status_code == 503
    assert "x-sluice-model" not in reply.headers


async def test_a_key_falls_back_only_to_models_that_it_may_use(
    client: httpx.AsyncClient, state: IngressState, gate: Gate
) -> None:
    use(state, models=models(small={"fallback": ["large"], "fallback_after": "100ms"}))
    client.headers["authorization"] = f"Bearer {secret('onlysmall')}"
    running = await _taken(client, gate)
    refused = await client.post(CHAT, json=ask(), headers={"x-sluice-queue-timeout-ms": "100"})
    assert refused.status_code == 429
    gate.open.set()
    assert (await running).status_code == 200


async def test_a_canary_gets_its_share(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, models=models(small={"split": {"small": 3, "large": 1}}))
    served = Counter([(await client.post(CHAT, json=ask(max_tokens=1))).json()["model"] for _ in range(200)])
    assert 20 < served["large"] < 85, "50 of 200 in the mean"
    assert served["small"] + served["large"] == 200
    client.headers["authorization"] = f"Bearer {secret('onlysmall')}"
    assert {(await client.post(CHAT, json=ask(max_tokens=1))).json()["model"] for _ in range(20)} == {"small"}


async def test_service_levels_are_counted(
    client: httpx.AsyncClient, state: IngressState, pools: LocalPools, gate: Gate
) -> None:
    pools.slots["large"] = 4
    await client.post(CHAT, json=ask("large"))
    await client.post(CHAT, json=ask("large", stream=True))
    await client.post(CHAT, json=ask("nope"))
    running = await _taken(client, gate)
    await client.post(CHAT, json=ask(), headers={"x-sluice-queue-timeout-ms": "0"})
    qos_tier, tallies = state.sla.figures()["globex"]
    assert qos_tier == "standard"
    assert (tallies["1m"].succeeded, tallies["1m"].failed) == (2, 1)
    assert sum(tallies["1m"].ttft.values()) == 1, "only what was streamed has a first token"
    gate.open.set()
    await running
