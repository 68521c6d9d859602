"""Clients that leave and replicas that break, on a real Ray Serve in the fast lane, as `sluice up` starts it."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from serve_app.fast_lane import environment
from serve_app.runtime_dir import ensure_runtime_dir
from tests.integration.conftest import Application, configuration, free_port, serving

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

HEADERS = {"authorization": "Bearer sk-demo-premium"}
SLOTS = 4
"""Of each replica of `pair`."""

LONG = 32_768
"""Most tokens of a conversation with the model of `kind: transformers`."""

TRANSFORMERS = all(map(find_spec, ("torch", "transformers")))

REPLACED_S = 60.0
"""Within what a replica that ended must have been replaced, on a busy machine."""


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("breaking")
    with pytest.MonkeyPatch.context() as patch:
        config = configuration_of(folder)
        runtime_dir = ensure_runtime_dir(folder / "state")
        for name, value in environment(os.environ, runtime_dir, config["http_options"]["port"]).items():
            patch.setenv(name, value)
        with serving(config, folder) as running:
            yield running


def configuration_of(folder: Path) -> dict[str, Any]:
    config = configuration(free_port(), folder / "state")
    application = config["applications"][0]
    watched, hangs = "tests.integration.watched_models:Watched", "tests.integration.watched_models:Hangs"
    pace = {"first_token_ms": 300, "inter_token_ms": 50, "reply_tokens": 10, "failures": True}
    application["args"]["models"] = [
        {
            "name": "watched",
            "slots": 1,
            "engine": {
                "kind": "python",
                "options": {"import_path": watched, "arguments": {"log": str(folder / "log")}},
            },
        },
        {"name": "pair", "engine": {"kind": "simulated", "options": pace}},
        {
            "name": "hangs",
            "engine": {
                "kind": "python",
                "options": {"import_path": hangs, "arguments": {"sick": str(folder / "sick")}},
            },
        },
    ]
    if TRANSFORMERS:
        options = {"model": str(_long_model(folder / "model")), "device": "cpu"}
        application["args"]["models"].append(
            {"name": "long", "slots": 1, "engine": {"kind": "transformers", "options": options}}
        )
    small: dict[str, Any] = {"ray_actor_options": {"num_cpus": 0.1}}
    application["deployments"] = [
        *application["deployments"][:2],
        {"name": "model-watched", "max_ongoing_requests": 4, **small},
        {"name": "model-pair", "num_replicas": 2, "max_ongoing_requests": SLOTS, **small},
        {"name": "model-hangs", "health_check_timeout_s": 1, **small},
        *([{"name": "model-long", "max_ongoing_requests": 4, **small}] if TRANSFORMERS else []),
    ]
    catalogue = application["deployments"][0]["user_config"]["catalogue"]
    catalogue["tiers"], catalogue["policies"] = [{"name": "only"}], []
    catalogue["models"] = [
        {"name": model["name"], "tier": "only", "max_output_tokens": 100_000} for model in application["args"]["models"]
    ]
    return config


def _long_model(folder: Path) -> Path:
    """A model with room for replies of minutes."""
    from tests.deployments.models.engines.tiny_model import make_endless

    make_endless(folder, hidden=128, layers=2, context=LONG)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": LONG}))
    return folder


def chat(model: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


class Log:
    """What `watched` did."""

    def __init__(self, application: Application) -> None:
        self._path = application.state_dir.parent / "log"
        self._seen = len(self._lines())

    async def next(self, what: str, within_s: float = 10.0) -> float:
        """When it happened; nothing else may have happened before."""
        give_up = time.monotonic() + within_s
        while len(lines := self._lines()) <= self._seen:
            assert time.monotonic() < give_up, f"no {what} within {within_s} s"
            await asyncio.sleep(0.01)
        word, at = lines[self._seen].split()
        self._seen += 1
        assert word == what
        return float(at)

    def _lines(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []


async def ask_and_leave(application: Application, log: Log, *, stream: bool) -> float:
    """Asks `watched` over a bare socket, and closes it while the reply is being generated. When."""
    reader, writer = await _ask_by_socket(application, chat("watched", stream=stream, max_tokens=600))
    await log.next("start")
    if stream:
        await asyncio.wait_for(reader.readuntil(b"tick"), 5)
    else:
        await asyncio.sleep(0.3)
    writer.close()
    await writer.wait_closed()
    return time.monotonic()


async def _ask_by_socket(
    application: Application, request: dict[str, Any]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = application.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(request).encode()
    head = {"host": host, "content-type": "application/json", "content-length": str(len(body)), **HEADERS}
    lines = ["POST /v1/chat/completions HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    return reader, writer


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_who_leaves_ends_the_generation_and_frees_the_slot(application: Application, stream: bool) -> None:
    log = Log(application)
    left_at = await ask_and_leave(application, log, stream=stream)
    ended_at = await log.next("end")
    print(f"generation ended {(ended_at - left_at) * 1000:.0f} ms after its client left")
    assert ended_at - left_at < 1.0
    async with httpx.AsyncClient(base_url=application.base_url, headers=HEADERS, timeout=30) as client:
        reply = await client.post("/v1/chat/completions", json=chat("watched", max_tokens=1))
    assert reply.status_code == 200
    assert await log.next("start") - left_at < 1.0, "the pool has one slot"
    await log.next("end")


async def test_who_waits_takes_the_slot_of_who_leaves(application: Application) -> None:
    log = Log(application)
    async with httpx.AsyncClient(base_url=application.base_url, headers=HEADERS, timeout=30) as client:
        leaving = asyncio.create_task(ask_and_leave(application, log, stream=True))
        await asyncio.sleep(0.2)
        waiting = asyncio.create_task(client.post("/v1/chat/completions", json=chat("watched", max_tokens=1)))
        left_at = await leaving
        assert await log.next("end") - left_at < 1.0
        assert await log.next("start") - left_at < 1.0
        assert (await waiting).status_code == 200
    await log.next("end")


@pytest.mark.skipif(not TRANSFORMERS, reason="torch is not installed: make engines")
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_a_real_model_stops_when_its_client_leaves(application: Application, stream: bool) -> None:
    (pid,) = application.replica_pids("model-long")
    replica = psutil.Process(pid)

    async def busy(for_s: float = 0.4) -> float:
        """How many CPUs it keeps busy."""
        before = replica.cpu_times()
        await asyncio.sleep(for_s)
        after = replica.cpu_times()
        return (after.user + after.system - before.user - before.system) / for_s

    async with httpx.AsyncClient(base_url=application.base_url, headers=HEADERS, timeout=60) as client:
        assert (await client.post("/v1/chat/completions", json=chat("long", max_tokens=1))).status_code == 200
        idle = await busy()
        request = chat("long", stream=stream, max_tokens=LONG // 2, temperature=0)
        _, writer = await _ask_by_socket(application, request)
        await asyncio.sleep(0.5)
        working = await busy()
        writer.close()
        await writer.wait_closed()
        left_at = time.monotonic()
        assert working > idle + 0.3, "it generates"
        reply = await client.post("/v1/chat/completions", json=chat("long", max_tokens=1))
        assert reply.status_code == 200
        freed_s = time.monotonic() - left_at
        assert freed_s < 1.0, "the pool has one slot"
        print(f"CPUs idle {idle:.2f}, working {working:.2f}; the slot was free after {freed_s * 1000:.0f} ms")
        await asyncio.sleep(max(0.0, 1.0 - freed_s))
        assert await busy() < idle + (working - idle) / 3, "nothing of it runs a second later"


async def _ask(client: httpx.AsyncClient, text: str, *, stream: bool) -> str:
    """How it went: a status and code, `200 broken` for a reply that ended with an error."""
    try:
        reply = await client.post("/v1/chat/completions", json=chat("pair", text, stream=stream))
    except httpx.TransportError as error:
        return type(error).__name__
    if reply.status_code != 200:
        return f"{reply.status_code} {reply.json()['error']['code']}"
    if stream and "data: [DONE]" not in reply.text:
        assert '"error"' in reply.text, reply.text
        return "200 broken"
    return "200"


async def test_a_request_that_fails_says_so(application: Application) -> None:
    async with httpx.AsyncClient(base_url=application.base_url, headers=HEADERS, timeout=30) as client:
        for stream in (False, True):
            reply = await client.post("/v1/chat/completions", json=chat("pair", "!fail", stream=stream))
            assert (reply.status_code, reply.json()["error"]["code"]) == (500, "model_failed")
        reply = await client.post("/v1/chat/completions", json=chat("pair", "!fail-after 2", stream=True))
    assert reply.status_code == 200
    *_, last = reply.text.strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "model_failed"


async def test_a_replica_that_breaks_is_replaced_and_fails_only_what_ran_there(application: Application) -> None:
    async with httpx.AsyncClient(base_url=application.base_url, headers=HEADERS, timeout=60) as client:
        assert await _ask(client, "hello", stream=False) == "200"
        before = application.replica_pids("model-pair")
        assert len(before) == 2
        load = [asyncio.create_task(_ask(client, f"load {n}", stream=bool(n % 2))) for n in range(24)]
        await asyncio.sleep(0.3)
        broken = asyncio.create_task(_ask(client, "!break", stream=False))
        outcomes = Counter([await task for task in load])
        assert (await broken) in {"500 model_failed", "503 model_unavailable"}
        print(f"outcomes while a replica breaks: {dict(outcomes)}")
        assert set(outcomes) <= {"200", "200 broken", "500 model_failed", "503 model_unavailable"}
        assert outcomes.total() - outcomes["200"] < SLOTS, "the slots of the broken replica, the breaker's besides"
        broke_at = time.monotonic()
        after = await _replaced(application, before)
        print(f"two replicas again after {time.monotonic() - broke_at:.1f} s")
        assert len(after - before) == 1
        assert len(after & before) == 1, "the other one lives"
        codes = await asyncio.gather(*(_ask(client, f"after {n}", stream=bool(n % 2)) for n in range(4 * SLOTS)))
        assert set(codes) == {"200"}


async def _replaced(application: Application, before: set[int]) -> set[int]:
    give_up = time.monotonic() + REPLACED_S
    while len(now := application.replica_pids("model-pair")) < 2 or now == before:
        assert time.monotonic() < give_up, (before, now)
        await asyncio.sleep(0.1)
    return now


async def test_a_replica_whose_health_check_hangs_is_replaced(application: Application) -> None:
    async with httpx.AsyncClient(base_url=application.base_url, headers=HEADERS, timeout=30) as client:

        async def pid() -> int | None:
            reply = await client.post("/v1/models/hangs/infer", json={})
            return int(reply.text) if reply.status_code == 200 else None

        first = await pid()
        assert first is not None
        (application.state_dir.parent / "sick").write_text(str(first))
        since = time.monotonic()
        while (now := await pid()) in (first, None):
            assert time.monotonic() < since + REPLACED_S
            await asyncio.sleep(0.2)
        print(f"replaced after {time.monotonic() - since:.1f} s; health_check_timeout_s: 1")
        assert now != first
