"""vLLM behind the whole of Sluice, and the real openai SDK."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import openai
import psutil
import pytest
import yaml

from tests.integration.conftest import ROOT, Application, free_port, serving, wait_until_ready
from tests.vllm.tiny import CONTEXT, NEEDS_VLLM, SLOTS, environment, make_model, options

pytestmark = [pytest.mark.serve, pytest.mark.timeout(500), NEEDS_VLLM]

MODEL = "qwen3-8b"
HELLO: Any = [{"role": "user", "content": "What is a sluice?"}]
NO_END = {"2": -100}
"""As `logit_bias`: the model never ends a reply by itself."""

START_S = 300
RECOVERY_S = 300
"""Bounds for a busy machine; 40 and 75 s where nothing else runs."""


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """serve_config.vllm.yaml with the tiny model in the place of its own, on a CPU."""
    folder = tmp_path_factory.mktemp("vllm")
    config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.vllm.yaml").read_text())
    config["http_options"]["port"] = free_port()
    application = config["applications"][0]
    arguments = application["args"]
    arguments["state_dir"] = str(folder / "state")
    arguments["redis"]["deadline_ms"] = 5_000  # two cores, and vLLM is on them
    arguments["models"][0]["engine"]["options"] = options(make_model(folder / "model"))
    ingress, _, pool = application["deployments"]
    pool["max_ongoing_requests"] = SLOTS
    policies = ingress["user_config"]["catalogue"]["policies"]
    policies[:] = [each for each in policies if each.get("unit") == "concurrent_requests"]
    with environment(), serving(config, folder, partial(wait_until_ready, start_s=START_S)) as running:
        yield running


@pytest.fixture
def client(application: Application) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{application.base_url}/v1", api_key="sk-demo-premium", max_retries=0, timeout=60
    ) as made:
        yield made


def said(client: openai.OpenAI, **parameters: Any) -> Any:
    return client.chat.completions.create(
        model=MODEL, **{"messages": HELLO, "max_tokens": 20, "temperature": 0, "logit_bias": NO_END, **parameters}
    )


def test_plain(client: openai.OpenAI) -> None:
    reply = said(client)
    assert reply.choices[0].message.content
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 20
    assert reply.usage.prompt_tokens > 10


def test_streamed(client: openai.OpenAI) -> None:
    whole = said(client)
    chunks = list(said(client, stream=True))
    assert len(chunks) > 5
    assert "".join(each.choices[0].delta.content or "" for each in chunks) == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "length"
    assert all(each.usage is None for each in chunks)
    *_, last = said(client, stream=True, stream_options={"include_usage": True})
    assert last.usage == whole.usage


def test_stop(client: openai.OpenAI) -> None:
    whole = said(client).choices[0].message.content
    stop = whole[4:6]
    reply = said(client, stop=[stop])
    assert reply.choices[0].message.content == whole[: whole.index(stop)]
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.completion_tokens < 20


def test_seeds_and_choices(client: openai.OpenAI) -> None:
    def sampled(**parameters: Any) -> list[str]:
        return [each.message.content for each in said(client, temperature=1, seed=7, **parameters).choices]

    first, second = sampled(n=2)
    assert first != second
    assert sampled() == [first]
    used = said(client, n=2).usage
    assert used.completion_tokens == 40
    assert used.prompt_tokens == said(client).usage.prompt_tokens, "a prompt is read once"


def test_log_probabilities(client: openai.OpenAI) -> None:
    reply = said(client, max_tokens=5, logprobs=True, top_logprobs=3)
    told = reply.choices[0].logprobs.content
    assert len(told) == 5
    for each in told:
        assert each.logprob <= 0
        assert each.top_logprobs[0].token == each.token
        assert len(each.top_logprobs) == 3
    assert b"".join(bytes(each.bytes) for each in told).decode(errors="replace") == reply.choices[0].message.content


def test_completions(client: openai.OpenAI) -> None:
    parameters: Any = {"model": MODEL, "max_tokens": 5, "temperature": 0, "logit_bias": NO_END}
    reply = client.completions.create(prompt=["The water", [5, 6, 7]], logprobs=2, **parameters)  # type: ignore[list-item]
    assert len(reply.choices) == 2
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 10
    logprobs = reply.choices[0].logprobs
    assert logprobs is not None
    assert len(logprobs.tokens or ()) == 5
    streamed = client.completions.create(prompt="The water", stream=True, **parameters)
    assert "".join(each.choices[0].text for each in streamed) == reply.choices[0].text


def test_the_context_ends(client: openai.OpenAI) -> None:
    prompt = [5] * (CONTEXT - 10)
    parameters: Any = {"model": MODEL, "max_tokens": CONTEXT, "logit_bias": NO_END}
    reply = client.completions.create(prompt=prompt, **parameters)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 10
    for call, param in (
        (lambda: client.completions.create(prompt=[5] * CONTEXT, **parameters), "prompt"),
        (lambda: said(client, messages=[{"role": "user", "content": "word " * CONTEXT}]), "messages"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            call()
        assert (caught.value.code, caught.value.param) == ("context_length_exceeded", param)


def test_what_vllm_refuses_is_said_in_openais_form(client: openai.OpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            said(client, logit_bias={"999999": 1}, stream=stream)
        error = caught.value
        assert (error.code, error.param, error.type) == ("invalid_parameter", "logit_bias", "invalid_request_error")
        assert "999999" in error.message


def test_several_at_a_time(client: openai.OpenAI) -> None:
    def asked(number: int) -> int:
        messages = [{"role": "user", "content": f"gate {number}"}]
        return int(said(client, messages=messages, max_tokens=10 + number).usage.completion_tokens)

    with ThreadPoolExecutor(3 * SLOTS) as threads:
        assert list(threads.map(asked, range(3 * SLOTS))) == [10 + number for number in range(3 * SLOTS)]


def test_clients_that_leave_free_their_slots(application: Application, client: openai.OpenAI) -> None:
    def held() -> int:
        headers = {"authorization": "Bearer sk-demo-premium"}
        windows = httpx.get(f"{application.base_url}/v1/limits?model={MODEL}", headers=headers).json()["windows"]
        return sum(window["used"] for window in windows if window["unit"] == "concurrent_requests")

    streams = [said(client, stream=True, max_tokens=CONTEXT) for _ in range(SLOTS)]
    for stream in streams:
        next(iter(stream))
    assert held(), "replies that have ended show nothing"
    for stream in streams:
        stream.close()
    give_up = time.monotonic() + 1
    while held():
        assert time.monotonic() < give_up, "the slots of clients that left are still held"
        time.sleep(0.02)
    assert said(client, max_tokens=1).choices


def test_a_killed_engine_is_replaced(application: Application, client: openai.OpenAI) -> None:
    engine = vllm_process(application)
    stream = said(client, stream=True, max_tokens=CONTEXT)
    next(iter(stream))
    engine.kill()
    with pytest.raises(openai.APIError):
        list(stream)
    give_up = time.monotonic() + RECOVERY_S
    while not answers(client):
        assert time.monotonic() < give_up, "the replica was not replaced"
        time.sleep(0.5)
    assert vllm_process(application).pid != engine.pid


def answers(client: openai.OpenAI) -> bool:
    try:
        return bool(said(client, max_tokens=1).choices)
    except openai.APIError:
        return False


def vllm_process(application: Application) -> psutil.Process:
    """vLLM's own, that has the model."""
    own = psutil.Process(application.process.pid).children(recursive=True)
    (found,) = [each for each in own if "EngineCore" in " ".join(each.cmdline())]
    return found
