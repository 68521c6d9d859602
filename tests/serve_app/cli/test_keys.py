"""keys issue, rotate, revoke and generate."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from policies.entities import ApiKey
from tests.serve_app.cli.conftest import Sluice

SECRET = re.compile(r"sk-[A-Za-z0-9]+-[A-Za-z0-9]{16,}\n")


def status(sluice: Sluice, key: str) -> int:
    """What the server says to this key."""
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{sluice.environ['SLUICE_URL']}/v1/limits", headers=headers).status_code


def test_a_key_is_issued_rotated_and_revoked(sluice: Sluice) -> None:
    issued = sluice.ok("keys", "issue", "--user", "ada", "--id", "ada1")
    assert SECRET.fullmatch(issued.out)
    assert "shown once" in issued.err
    assert "issued key ada1 of user ada" in issued.err
    first = issued.out.strip()
    assert status(sluice, first) == 200

    rotated = sluice.ok("keys", "rotate", "ada1", "--overlap", "24h")
    second = rotated.out.strip()
    assert second != first
    assert "the old secret works until" in rotated.err
    assert (status(sluice, first), status(sluice, second)) == (200, 200)
    assert "active, and its old secret until" in sluice.ok("keys", "list", "--user", "ada", "--source", "api").out
    third = sluice.ok("keys", "rotate", "ada1", "--overlap", "0s").out.strip()
    assert (status(sluice, second), status(sluice, third)) == (401, 200)

    assert sluice.ok("keys", "revoke", "ada1").out.startswith("revoked key ada1")
    assert status(sluice, third) == 401
    assert "revoked" in sluice.ok("keys", "show", "ada1").out
    assert sluice("keys", "rotate", "ada1").code == 5


def test_what_a_key_may_do(sluice: Sluice) -> None:
    made = sluice.ok(
        "keys", "issue", "--user", "ada", "--role", "gateway", "--models", "small", "--expires-in", "30d", "--json"
    ).json
    assert SECRET.fullmatch(made["secret"] + "\n")
    assert (made["key"]["role"], made["key"]["models"]) == ("gateway", ["small"])
    end = datetime.fromisoformat(made["key"]["expires_at"])
    assert abs(end - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    shown = yaml.safe_load(sluice.ok("keys", "show", made["key"]["id"]).out)
    assert shown["models"] == ["small"]
    sluice.ok("keys", "apply", "-f", "-", stdin=yaml.safe_dump({**shown, "models": None, "role": "operator"}))
    assert sluice.ok("keys", "show", made["key"]["id"], "--json").json["role"] == "operator"


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ("2031-02-03", "2031-02-03T00:00:00Z"),
        ("2031-02-03T04:05:06Z", "2031-02-03T04:05:06Z"),
        ("2031-02-03T04:05:06+02:00", "2031-02-03T02:05:06Z"),
    ],
)
def test_a_key_ends_at_a_moment(sluice: Sluice, given: str, end: str) -> None:
    made = sluice.ok("keys", "issue", "--user", "ada", "--expires-at", given, "--json").json
    assert made["key"]["expires_at"] == end


def test_what_cannot_be_issued(sluice: Sluice) -> None:
    assert sluice("keys", "issue", "--user", "nobody").code == 5
    both = sluice("keys", "issue", "--user", "ada", "--expires-in", "1d", "--expires-at", "2031-01-01")
    assert "leave one out" in both.err
    assert (
        "--expires-in: 'soon' is not a duration" in sluice("keys", "issue", "--user", "ada", "--expires-in", "soon").err
    )
    assert "later than dates go" in sluice("keys", "issue", "--user", "ada", "--expires-in", f"{10**9}d").err
    assert sluice("keys", "revoke", "nosuchkey").code == 3


def test_an_operator_revokes_and_does_not_issue(sluice: Sluice) -> None:
    sluice.ok("keys", "issue", "--user", "ada", "--id", "ada1")
    refused = sluice("keys", "issue", "--user", "ada", key="operator1")
    assert refused.code == 4
    assert refused.out == ""
    sluice.ok("keys", "revoke", "ada1", key="operator1")


def test_a_key_is_made_without_a_server(offline: Sluice, tmp_path: Path) -> None:
    answer = offline.ok("keys", "generate", "--user", "ada", "--role", "admin")
    assert SECRET.fullmatch(answer.out)
    entry = ApiKey.model_validate(yaml.safe_load(answer.err.splitlines()[-1])[0])
    assert (entry.user, entry.role) == ("ada", "admin")
    assert entry.sha256 == hashlib.sha256(answer.out.strip().encode()).hexdigest()
    assert answer.out.startswith(f"sk-{entry.id}-")
    made = offline.ok("keys", "generate", "--user", "ada", "--id", "mine", "--models", "a,b", "--json").json
    assert (made["key"]["id"], made["key"]["models"]) == ("mine", ["a", "b"])


def test_a_wrong_id_is_named(offline: Sluice) -> None:
    answer = offline("keys", "generate", "--user", "ada", "--id", "a-b", "--json")
    assert answer.code == 1
    assert "key.id" in answer.err
    assert answer.out == ""
