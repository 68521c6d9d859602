"""examples/digits: a class of one's own behind the limits, by HTTP, as its serve_config.yaml stands."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.integration.conftest import ROOT, Application, free_port, running

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

CONFIG = ROOT / "examples" / "digits" / "serve_config.yaml"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: make engines")
    folder: Path = tmp_path_factory.mktemp("digits")
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    config["http_options"]["port"] = free_port()
    config["applications"][0]["args"]["state_dir"] = str(folder / "state")
    with running(config, folder) as application:
        yield application


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

    no_text = httpx.post(
        f"{digits.base_url}/v1/chat/completions",
        headers={"authorization": "Bearer sk-demo-standard"},
        json={"model": "digits", "messages": [{"role": "user", "content": "Hello"}]},
        timeout=30,
    )
    assert (no_text.status_code, no_text.json()["error"]["code"]) == (400, "unsupported_operation")

    for _ in range(6):  # five in ten seconds, and no more
        limited = infer(json={"pixels": pixels})
        if limited.status_code == 429:
            break
    assert limited.status_code == 429
    assert limited.json()["error"]["policy"] == "digits-per-key"
    assert int(limited.headers["retry-after"]) <= 10
