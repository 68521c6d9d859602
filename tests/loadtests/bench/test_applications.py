"""What stands beside one another: configurations that are right, and requests that are judged by six windows."""

from pathlib import Path

import pytest
import yaml

from loadtests.bench.applications import (
    METERED,
    MODEL,
    OUT_OF_REACH,
    ROOMY,
    SPENT,
    bare,
    catalogue,
    constant,
    crowd,
    limits,
    secret,
    serve_config,
    sluice,
)
from policies.catalogue import Catalogue
from policies.entities import Scope
from policies.resolver import Identity, Resolver
from serve_app.config_file import read_serve_config


def test_the_file_is_right(tmp_path: Path) -> None:
    entries = [sluice("redis://127.0.0.1:6379/0"), bare(), limits("redis://127.0.0.1:6379/0"), constant(), crowd(64)]
    path = tmp_path / "serve_config.yaml"
    path.write_text(yaml.safe_dump(serve_config(entries, 8000, tmp_path / "state")))
    config = read_serve_config(path)
    assert [application.name for application in config.applications] == ["sluice"]
    assert config.applications[0].args.models[0].name == MODEL
    assert len({entry["route_prefix"] for entry in entries}) == 5


@pytest.mark.parametrize(
    ("tenant", "units", "tightest"),
    [
        (ROOMY, ["requests"] * 6, OUT_OF_REACH),
        (SPENT, ["requests"] * 6, 1),
        (METERED, ["concurrent_requests", "requests", "requests", *["total_tokens"] * 3], OUT_OF_REACH),
    ],
)
def test_six_scopes_apply_to_every_tenant(tenant: str, units: list[str], tightest: int) -> None:
    whole = Catalogue.parse(catalogue())
    key = next(key for key in whole.keys if key.id == tenant)
    resolver = Resolver(whole)
    model = resolver.model(MODEL)
    assert model is not None
    applied = [each.policy for each in resolver.plan(Identity(tenant, tenant, key, "standard"), model)]
    assert {policy.scope for policy in applied} == set(Scope)
    assert sorted(policy.unit for policy in applied) == units
    assert min(policy.limit for policy in applied) == tightest


def test_keys_can_be_guessed_from_their_tenant_alone() -> None:
    assert secret(ROOMY) == f"sk-roomy-{'s' * 24}"
