import pytest

from serve_app.config_file import ServeConfig, read_serve_config
from serve_app.errors import UnknownNameError
from serve_app.explain import explain, public_id, rows
from tests.integration.conftest import ROOT


@pytest.fixture(scope="module")
def config() -> ServeConfig:
    return read_serve_config(ROOT / "serve_config.yaml")


@pytest.mark.parametrize("key", ["demo-standard", "sk-demo-standard"])
def test_the_policies_of_a_key(config: ServeConfig, key: str) -> None:
    explained = explain(config, key, "default")
    assert [e["policy"]["name"] for e in explained if e["applies"]] == [
        "everyone",
        "standard-rate",
        "key-burst",
        "user-slots",
    ]


def test_as_rows_and_as_data(config: ServeConfig) -> None:
    explained = explain(config, "demo-batch", "sim-large")
    by_policy = {row[1]: row for row in rows(explained)}
    assert by_policy["premium-rate"][-1] == "qos_tier is batch, not premium"
    assert by_policy["user-slots"][2] == "8 concurrent_requests"
    assert by_policy["large-share"][:4] == (
        "yes",
        "large-share",
        "60 requests in 1m",
        "MODEL_TIER large|tenant=nightly",
    )
    assert next(e for e in explained if e["policy"]["name"] == "large-share")["subject"] == "large|tenant=nightly"


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
    assert public_id("sk-someone-verysecretverysecret") == "someone"
