"""limits show, usage, policies explain and dry-run, audit: what is asked of a running server."""

import json
from pathlib import Path

import httpx
import pytest

from tests.serve_app.cli.conftest import CONFIGURED, Sluice, secret


def ask(sluice: Sluice, key: str) -> int:
    """A request for the model, as a client sends it."""
    body = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(f"{sluice.environ['SLUICE_URL']}/v1/chat/completions", json=body, headers=headers).status_code


def test_the_windows_of_ones_own_key(sluice: Sluice) -> None:
    assert ask(sluice, secret("inference1")) == 200
    answer = sluice.ok("limits", "show", key="inference1")
    assert answer.err == "key inference1, user ada, tenant platform, internal\n"
    assert answer.out.splitlines()[1].split()[:6] == ["everyone", "GLOBAL", "1", "1000", "requests", "1m"]
    assert sluice.ok("limits", "show", "--model", "small", "--json", key="inference1").json["windows"][0]["used"] == 1
    assert sluice("limits", "show", "--model", "none", key="inference1").code == 3


def test_usage(sluice: Sluice) -> None:
    policy = {"name": "mine", "scope": "TENANT", "limit": 5, "window": "1m", "match": {"tenant": "platform"}}
    sluice.ok("policies", "apply", "-f", "-", stdin=json.dumps(policy))
    assert sluice.ok("usage").err == "no window holds anything\n"
    for _ in range(2):
        assert ask(sluice, secret("inference1")) == 200
    row = ["mine", "TENANT", "platform", "2", "5", "requests", "1m"]
    for options in (["--tenant", "platform"], ["--policy", "mine"]):
        assert sluice.ok("usage", *options).out.splitlines()[1].split()[:7] == row
    assert {each["policy"] for each in sluice.ok("usage", "--json").json} == {"mine", "everyone"}
    assert len(sluice.ok("usage", "--key", "inference1").out.splitlines()) == 3
    assert "there are more than 1" in sluice.ok("usage", "--key", "inference1", "--limit", "1").err
    assert "stands alone" in sluice("usage", "--key", "a", "--tenant", "b").err


def test_which_policies_apply(sluice: Sluice) -> None:
    answer = sluice.ok("policies", "explain", "--key", "inference1", "--model", "default")
    assert answer.out.splitlines()[1] == "yes      everyone  1000 requests in 1m  GLOBAL    its match holds"
    assert sluice.ok("policies", "explain", "--key", secret("inference1"), "--model", "default").out == answer.out
    explained = sluice.ok("policies", "explain", "--key", "inference1", "--model", "default", "--json").json
    assert explained[0]["applies"] is True
    assert sluice("policies", "explain", "--key", "nobody", "--model", "default").code == 3


def test_which_policies_of_a_file_apply(offline: Sluice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    options = ["--key", "demo-standard", "--model", "sim-large", "--file", "serve_config.yaml"]
    assert "replaced by" not in offline.ok("policies", "explain", *options).out
    explained = offline.ok("policies", "explain", *options, "--json").json
    assert next(each["policy"]["name"] for each in explained if each["applies"]) == "everyone"
    assert offline("policies", "explain", "--key", "x", "--model", "sim-large", "-f", "serve_config.yaml").code == 1


def test_what_a_policy_would_have_denied(sluice: Sluice) -> None:
    for _ in range(5):
        assert ask(sluice, secret("inference1")) == 200
    proposed = json.dumps({"name": "everyone", "scope": "GLOBAL", "limit": 2, "window": "1m"})
    answer = sluice.ok("policies", "dry-run", "-f", "-", stdin=proposed)
    assert answer.out.splitlines()[:2] == [
        "everyone, 2 requests in 1m, judged over the log of everyone:",
        "3 of 5 requests would have been denied; 1 of 1 subjects would have met a denial",
    ]
    assert "note: " in answer.err
    renamed = proposed.replace("everyone", "other")
    found = sluice.ok("policies", "dry-run", "-f", "-", "--from", "everyone", "--json", stdin=renamed).json
    assert (found["denied"], found["source"]) == (3, "everyone")
    assert CONFIGURED["policies"][0]["limit"] == 1000
    assert sluice("policies", "dry-run", "-f", "-", stdin=f"[{proposed}, {renamed}]").code == 1
    assert sluice("policies", "dry-run", "-f", "-", "--from", "nosuch", stdin=renamed).code == 5


def test_who_did_what(sluice: Sluice) -> None:
    assert sluice.ok("audit").err == "no change was made yet\n"
    sluice.ok("tenants", "apply", "-f", "-", stdin="name: acme")
    sluice.ok("tenants", "apply", "-f", "-", stdin="{name: acme, weight: 2}")
    sluice.ok("keys", "issue", "--user", "ada", "--id", "ada1")
    sluice.ok("keys", "rotate", "ada1", "--overlap", "0s")
    sluice.ok("keys", "revoke", "ada1", key="operator1")
    sluice.ok("tenants", "delete", "acme", "--yes")
    told = [(each["action"], each["kind"], each["name"]) for each in sluice.ok("audit", "--json").json]
    assert told == [
        ("delete", "tenants", "acme"),
        ("revoke", "keys", "ada1"),
        ("rotate", "keys", "ada1"),
        ("issue", "keys", "ada1"),
        ("update", "tenants", "acme"),
        ("create", "tenants", "acme"),
    ]
    out = sluice.ok("audit").out
    assert "update  tenant acme  weight: 1 -> 2\n" in out
    assert "revoked: no -> yes" in out
    assert "ada (operator1)" in out
    assert len(sluice.ok("audit", "--kind", "tenants", "--name", "acme", "--json").json) == 3
    assert [each["action"] for each in sluice.ok("audit", "--actor", "operator1", "--json").json] == ["revoke"]
    assert len(sluice.ok("audit", "--limit", "2", "--json").json) == 2
    assert len(sluice.ok("audit", "--all", "--json").json) == 6
    assert sluice.ok("audit", "--name", "nobody").err == "no change fits\n"
    assert "sha256" not in sluice.ok("audit", "--json").out
