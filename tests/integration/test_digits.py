"""examples/digits: a class of one's own behind the limits, by HTTP, as its serve_config.yaml stands."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import yaml

from tests.integration.conftest import ROOT, Application, free_port, serving

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

CONFIG = ROOT / "examples" / "digits" / "serve_config.yaml"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: make engines")
    folder: Path = tmp_path_factory.mktemp("digits")
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    config["http_options"]["port"] = free_port()
    application = config["applications"][0]
    application["args"]["state_dir"] = str(folder / "state")
    application["args"].setdefault("redis", {})["deadline_ms"] = 2_000  # other tests keep the machine's cores busy
    # Beside it a class that generates text and vectors, without its limits.
    talker = {"import_path": "tests.deployments.models.engines.python.models:Talker"}
    application["args"]["models"].append({"name": "talker", "engine": {"kind": "python", "options": talker}})
    application["deployments"].append({"name": "model-talker", "ray_actor_options": {"num_cpus": 0.2}})
    catalogue = application["deployments"][0]["user_config"]["catalogue"]
    catalogue["models"].append({"name": "talker", "tier": "vision"})
    catalogue["policies"][0]["match"] = {"model": "digits"}
    with serving(config, folder) as started:
        yield started


def sdk(application: Application) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{application.base_url}/v1", api_key="sk-demo-standard", max_retries=0)


def example_body() -> dict[str, Any]:
    """Of the curl in the file's head."""
    found = re.search(r"-d '(\{.*?\})'", CONFIG.read_text(), re.DOTALL)
    assert found is not None
    body: dict[str, Any] = json.loads(re.sub(r"\n#", "", found[1]))
    return body


def test_its_requests_are_answered_refused_and_limited(digits: Application) -> None:
    def infer(**request: Any) -> httpx.Response:
        headers = {"authorization": "Bearer sk-demo-standard", **request.pop("headers", {})}
        return httpx.post(f"{digits.base_url}/v1/models/digits/infer", headers=headers, timeout=30, **request)

    pixels = example_body()["pixels"]
    answered = infer(json={"pixels": pixels})
    assert answered.status_code == 200, answered.text
    assert answered.headers["content-type"] == "application/json"
    assert answered.json() == {"digit": 1, "probabilities": [0.0, 1.0, *[0.0] * 8]}
    assert answered.headers["x-ratelimit-remaining-requests"] == "4"

    wrong = infer(json={"pixels": [*pixels[:63], 99]})
    assert wrong.status_code == 422
    error = wrong.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_parameter", "pixels.63")
    assert error["message"] == "pixels.63 is wrong: Input should be less than or equal to 16 (got 99)."

    unknown = infer(content=b"hello", headers={"content-type": "text/plain"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "unsupported_content_type")
    not_json = infer(content=b"{", headers={"content-type": "application/json"})
    assert (not_json.status_code, not_json.json()["error"]["code"]) == (400, "invalid_json")

    with sdk(digits) as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="digits", messages=[{"role": "user", "content": "Hello"}])
    assert caught.value.code == "unsupported_operation"

    for _ in range(6):  # five in ten seconds, and no more
        limited = infer(json={"pixels": pixels})
        if limited.status_code == 429:
            break
    assert limited.status_code == 429
    assert limited.json()["error"]["policy"] == "digits-per-key"
    assert int(limited.headers["retry-after"]) <= 10


def test_a_class_that_talks_and_the_openai_sdk(digits: Application) -> None:
    hello: list[Any] = [{"role": "user", "content": "Where is the 水?"}]
    with sdk(digits) as client:
        plain = client.chat.completions.create(model="talker", messages=hello, max_tokens=12, temperature=0)
        text = plain.choices[0].message.content
        assert text is not None
        assert text.startswith("水門 opens, Größe 5 µm 🌊 ")
        assert plain.choices[0].finish_reason == "length"
        assert plain.usage is not None
        assert (plain.usage.prompt_tokens, plain.usage.completion_tokens) == (4, 12)

        stream = client.chat.completions.create(
            model="talker",
            messages=hello,
            max_tokens=12,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
        assert chunks[-1].usage == plain.usage

        stopped = client.completions.create(model="talker", prompt="Where is the 水?", stop="Größe 5", max_tokens=50)
        assert (stopped.choices[0].text, stopped.choices[0].finish_reason) == ("水門 opens, ", "stop")

        vectors = client.embeddings.create(model="talker", input=["water", "a wet area", "sluicing"], dimensions=20)
        assert [len(each.embedding) for each in vectors.data] == [20, 20, 20]
        assert vectors.usage.prompt_tokens == 5

        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model="talker", messages=hello, logprobs=True)
        assert refused.value.param == "logprobs"
        with pytest.raises(openai.InternalServerError) as failed:
            client.chat.completions.create(model="talker", messages=[{"role": "user", "content": "!fail"}])
        assert failed.value.code == "model_failed"
        assert "secret" not in str(failed.value)
