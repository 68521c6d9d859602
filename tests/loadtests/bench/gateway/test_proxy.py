"""What LiteLLM's proxy is told."""

from loadtests.bench.applications import ROOMY, secret
from loadtests.bench.gateway import cases
from loadtests.bench.gateway.proxy import AUTH, configuration


def test_limits_are_counted_in_the_redis_that_both_share() -> None:
    told = configuration("redis://127.0.0.1:4321/0", "http://127.0.0.1:1234")
    settings = told["general_settings"]
    assert settings == {
        "custom_auth": f"{AUTH.stem}.check",
        "coordination_redis": {"host": "127.0.0.1", "port": 4321},
    }


def test_both_have_the_same_limits() -> None:
    entry = cases.application("redis://127.0.0.1:4321/0")
    ours = entry["deployments"][0]["user_config"]["catalogue"]
    assert {ROOMY, cases.EDGE} <= {key["id"] for key in ours["keys"]}
    by_name = {policy["name"]: policy for policy in ours["policies"]}
    assert by_name["key-edge"]["limit"] == cases.LIMITS[secret(cases.EDGE)]
    assert {policy["window"] for policy in ours["policies"]} == {f"{cases.WINDOW_S}s"}
