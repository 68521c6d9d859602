import json

import pytest
from rich.console import Console

from serve_app.config_file import ServeConfig, read_serve_config
from serve_app.errors import UnknownNameError
from serve_app.explain import explain, show
from tests.integration.conftest import ROOT


@pytest.fixture(scope="module")
def config() -> ServeConfig:
    return read_serve_config(ROOT / "serve_config.yaml")


@pytest.mark.parametrize("key", ["demo-standard", "sk-demo-standard"])
def test_the_policies_of_a_key(config: ServeConfig, key: str) -> None:
    explanations = explain(config, key, "default")
    assert [e.policy.name for e in explanations if e.applies] == [
        "everyone",
        "standard-rate",
        "key-burst",
        "user-slots",
    ]


def test_as_a_table_and_for_machines(config: ServeConfig, capsys: pytest.CaptureFixture[str]) -> None:
    explanations = explain(config, "demo-batch", "sim-large")
    show(explanations, as_json=False, console=Console(width=160))
    assert "qos_tier is batch, not premium" in capsys.readouterr().out
    show(explanations, as_json=True, console=Console())
    plain = json.loads(capsys.readouterr().out)
    assert next(e for e in plain if e["policy"]["name"] == "large-share")["subject"] == "large|tenant=nightly"


@pytest.mark.parametrize(
    ("key", "model", "says"), [("nobody", "default", "nobody is not"), ("demo-batch", "x", "sim-")]
)
def test_unknown_names(config: ServeConfig, key: str, model: str, says: str) -> None:
    with pytest.raises(UnknownNameError, match=says):
        explain(config, key, model)


def test_a_secret_is_not_repeated(config: ServeConfig) -> None:
    with pytest.raises(UnknownNameError) as caught:
        explain(config, "sk-someone-verysecretverysecret", "default")
    assert "secret" not in str(caught.value)
