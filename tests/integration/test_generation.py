"""`serve run` with models of transformers made on the spot, and the real openai SDK: text from a real forward pass,
behind the limits."""

import asyncio
import json
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from deployments.tokenization.tokenizer import Tokenizer
from tests.deployments.models.engines.tiny_model import CONTEXT, make_endless, make_parrot, make_tiny_model
from tests.integration.conftest import Application, configuration, free_port, serving

pytestmark = [
    pytest.mark.serve,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (find_spec("torch") and find_spec("transformers")), reason="no torch: make engines"),
]

PROMPT: list[Any] = [{"role": "user", "content": "What is a sluice?"}]
SAYS = " a sluice is"
LONG = 8_000
KEY = "sk-demo-premium"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generation")
    make_parrot(folder / "parrot", SAYS)
    make_tiny_model(folder / "tiny")
    make_endless(folder / "endless", hidden=256, layers=6, context=LONG)
    return folder


@pytest.fixture(scope="module")
def application(folder: Path) -> Iterator[Application]:
    config = configuration(free_port(), folder / "state")
    application = config["applications"][0]
    names = ("parrot", "tiny", "endless")
    application["args"]["models"] = [
        {"name": name, "engine": {"kind": "transformers", "options": {"model": str(folder / name)}}} for name in names
    ]
    slots = {"endless": 1}
    application["deployments"] = [
        *application["deployments"][:2],
        *(
            {
                "name": f"model-{name}",
                "max_ongoing_requests": slots.get(name, 8),
                "ray_actor_options": {"num_cpus": 0.1, "runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1"}}},
            }
            for name in names
        ),
    ]
    catalogue = application["deployments"][0]["user_config"]["catalogue"]
    catalogue["tiers"] = [{"name": "only"}]
    catalogue["models"] = [{"name": name, "tier": "only", "max_output_tokens": LONG} for name in names]
    catalogue["policies"] = [
        {"name": "read", "scope": "TENANT", "unit": "input_tokens", "limit": 100_000, "window": "1h"},
        {
            "name": "nightly-read",
            "scope": "TENANT",
            "unit": "input_tokens",
            "limit": 40,
            "window": "1h",
            "match": {"tenant": "nightly"},
        },
    ]
    with serving(config, folder) as running:
        yield running


@pytest.fixture
def client(application: Application) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{application.base_url}/v1", api_key=KEY, max_retries=0) as made:
        yield made


def test_a_reply(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="parrot", messages=PROMPT, temperature=0)
    assert reply.choices[0].message.content == SAYS
    assert reply.choices[0].finish_reason == "stop"


def test_the_reply_is_the_librarys_own(client: openai.OpenAI, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = (
        AutoTokenizer.from_pretrained(folder / "tiny"),
        AutoModelForCausalLM.from_pretrained(folder / "tiny"),
    )
    prompt = Tokenizer.load(str(folder / "tiny")).encode_chat(PROMPT)
    with torch.inference_mode():
        told = model.generate(torch.tensor([prompt]), max_new_tokens=24, do_sample=False)[0, len(prompt) :]
    reply = client.chat.completions.create(model="tiny", messages=PROMPT, temperature=0, max_tokens=24)
    assert reply.choices[0].message.content == tokenizer.decode(told, skip_special_tokens=True)
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (len(prompt), len(told))


def test_a_stream_is_the_same_reply(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny", "messages": PROMPT, "temperature": 0, "max_tokens": 24}
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].usage == whole.usage


def test_choices_seeds_and_logprobs(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny", "messages": PROMPT, "temperature": 1.5, "max_tokens": 8, "seed": 3}
    first, again = (client.chat.completions.create(**asked, n=3) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in again.choices]
    assert len(set(texts)) == 3
    reply = client.chat.completions.create(**asked, logprobs=True, top_logprobs=2)
    assert reply.choices[0].logprobs is not None
    told = reply.choices[0].logprobs.content
    assert told is not None
    assert reply.usage is not None
    assert len(told) == reply.usage.completion_tokens
    assert all(len(each.top_logprobs) == 2 and each.logprob <= 0 for each in told)


def test_a_text_goes_on(client: openai.OpenAI) -> None:
    reply = client.completions.create(model="tiny", prompt=["the water", "the gate"], max_tokens=4, temperature=0)
    assert [choice.index for choice in reply.choices] == [0, 1]


def test_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "water " * CONTEXT}])
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "messages")
    with pytest.raises(openai.BadRequestError) as stream:
        client.chat.completions.create(model="tiny", messages=[{"role": "tool", "content": "x"}], stream=True)  # type: ignore[call-overload]
    assert "there is no role tool" in str(stream.value)
    with pytest.raises(openai.BadRequestError) as penalty:
        client.chat.completions.create(model="tiny", messages=PROMPT, frequency_penalty=1)
    assert (penalty.value.code, penalty.value.param) == ("unsupported_parameter", "frequency_penalty")
    with pytest.raises(openai.BadRequestError) as vectors:
        client.embeddings.create(model="tiny", input="x")
    assert vectors.value.code == "unsupported_operation"


def test_what_is_reserved_is_what_the_model_reads(application: Application, folder: Path) -> None:
    """The ingress counts by the model's own tokenizer, so nothing is to be settled of what was read."""
    read = len(Tokenizer.load(str(folder / "parrot")).encode_chat(PROMPT))
    headers = {"authorization": "Bearer sk-demo-batch"}
    body = {"model": "parrot", "messages": PROMPT}
    with httpx.Client(base_url=application.base_url, headers=headers, timeout=30) as http:
        replies = [http.post("/v1/chat/completions", json=body) for _ in range(40 // read + 1)]
    left = [int(reply.headers["x-ratelimit-remaining-tokens"]) for reply in replies[:-1]]
    assert left == [40 - read * (1 + number) for number in range(len(left))]
    assert (replies[-1].status_code, replies[-1].json()["error"]["policy"]) == (429, "nightly-read")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
async def test_who_leaves_ends_the_generation(application: Application, stream: bool) -> None:
    """The pool has one slot, so another request runs once the first one's generation has ended."""
    body = {"model": "endless", "messages": PROMPT, "max_tokens": LONG - 1_000, "temperature": 0, "stream": stream}
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: 127.0.0.1",
        f"authorization: Bearer {KEY}",
        f"content-length: {len(json.dumps(body))}",
        *("", ""),
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(application.base_url.rpartition(":")[2]))
    try:
        writer.write("\r\n".join(head).encode() + json.dumps(body).encode())
        if stream:
            await asyncio.wait_for(reader.readuntil(b'"content"'), 20)
        else:
            await asyncio.sleep(1)
        async with httpx.AsyncClient(base_url=application.base_url, timeout=60) as http:
            http.headers["authorization"] = f"Bearer {KEY}"
            short = {"model": "endless", "messages": PROMPT, "max_tokens": 1}
            busy = await http.post("/v1/chat/completions", json=short, headers={"x-sluice-queue-timeout-ms": "200"})
            assert busy.status_code == 429, "its slot is taken"
            left_at = time.monotonic()
            writer.close()
            reply = await http.post("/v1/chat/completions", json=short)
    finally:
        writer.close()
        await writer.wait_closed()
    took_s = time.monotonic() - left_at
    print(f"another request was served {took_s * 1000:.0f} ms after the client had left")
    assert reply.status_code == 200
    assert took_s < 2
