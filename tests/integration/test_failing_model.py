"""One of two models cannot be loaded: the other serves, and who asks for this one is told at once."""

import time
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import START_S, Application, configuration, free_port, serving

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]


def ask(application: Application, model: str, patience_ms: int) -> httpx.Response | None:
    """None while nothing listens."""
    try:
        return httpx.post(
            f"{application.base_url}/v1/chat/completions",
            json={"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1},
            headers={"authorization": "Bearer sk-demo-internal", "x-sluice-queue-timeout-ms": str(patience_ms)},
            timeout=30,
        )
    except httpx.TransportError:
        return None


def until_given_up(application: Application) -> None:
    """Serve tries three times; meanwhile requests wait, as they do for any replica that starts."""
    give_up = time.monotonic() + START_S
    while (reply := ask(application, "sim-large", 500)) is None or "model_unavailable" not in reply.text:
        assert time.monotonic() < give_up, application.log.read_text()[-3_000:]
        assert reply is None or reply.status_code in (404, 429, 503), reply.text
        time.sleep(0.5)


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    config = configuration(free_port(), tmp_path / "state")
    models = config["applications"][0]["args"]["models"]
    (large,) = [model for model in models if model["name"] == "sim-large"]
    large["engine"] = {"kind": "python", "options": {"import_path": "tests.integration.no_such_module:Model"}}
    with serving(config, tmp_path, started=until_given_up) as application:
        refused = ask(application, "sim-large", 500)
        assert refused is not None
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "model_unavailable"
        assert int(refused.headers["retry-after"]) >= 1
        served = ask(application, "sim-small", 25_000)  # its replica may have been slower than the other's failures
        assert served is not None
        assert served.status_code == 200, served.text
        unready = httpx.get(f"{application.base_url}/readyz")
        assert unready.status_code == 503
        assert unready.json()["problems"] == ["pool 'sim-large': no replica has answered yet"]
    assert "there is no module tests.integration.no_such_module" in application.log.read_text()
