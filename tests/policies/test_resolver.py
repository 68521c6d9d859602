from typing import Any

import pytest

from policies.catalogue import Catalogue
from policies.entities import Unit
from policies.resolver import Resolver

BASE: dict[str, Any] = {
    "tenants": [{"name": "acme", "qos_tier": "premium"}, {"name": "globex"}],
    "users": [{"name": "paula", "tenant": "acme"}, {"name": "gus", "tenant": "globex"}],
    "keys": [{"id": "kp", "user": "paula", "sha256": "0" * 64}, {"id": "kg", "user": "gus", "sha256": "1" * 64}],
    "tiers": [{"name": "large"}],
    "models": [{"name": "big", "tier": "large", "aliases": ["default"]}, {"name": "big2", "tier": "large"}],
}


def policy(name: str, scope: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "scope": scope, "limit": 1, "window": "1s", **fields}


def applied(policies: list[dict[str, Any]], key: str = "kp", model: str = "big") -> dict[str, tuple[str, str]]:
    """Name of each policy that applies -> (subject, slot)."""
    resolver = Resolver(Catalogue.parse({**BASE, "policies": policies}))
    identity, found = resolver.identity(key), resolver.model(model)
    assert identity is not None
    assert found is not None
    return {a.policy.name: (a.subject, a.slot) for a in resolver.plan(identity, found)}


@pytest.mark.parametrize(
    ("scope", "subject", "slot"),
    [
        ("GLOBAL", "", "global"),
        ("TENANT", "acme", "tenant:acme"),
        ("API_KEY", "kp", "tenant:acme"),
        ("MODEL", "big", "model:big"),
        ("MODEL_TIER", "large", "tier:large"),
        ("USER_MODEL", "paula|big", "tenant:acme"),
    ],
)
def test_each_scope_has_its_subject(scope: str, subject: str, slot: str) -> None:
    assert applied([policy("p", scope)]) == {"p": (subject, slot)}


def test_per_splits_the_window() -> None:
    assert applied([policy("p", "MODEL_TIER", per=["tenant"])]) == {"p": ("large|tenant=acme", "tenant:acme")}


def test_an_alias_counts_as_its_model() -> None:
    assert applied([policy("p", "MODEL")], model="default") == {"p": ("big", "model:big")}


@pytest.mark.parametrize(
    ("match", "applies"),
    [
        ({}, True),
        ({"tenant": "acme"}, True),
        ({"tenant": "globex"}, False),
        ({"tenant": ["globex", "acme"]}, True),
        ({"tenant": "acme", "model": "big2"}, False),
        ({"qos_tier": "premium", "model_tier": "large", "user": "paula", "api_key": "kp"}, True),
    ],
)
def test_all_conditions_of_a_match_must_hold(match: dict[str, Any], applies: bool) -> None:
    assert bool(applied([policy("p", "GLOBAL", match=match)])) is applies


def test_a_policy_that_names_the_subject_replaces_those_that_do_not() -> None:
    policies = [
        policy("all-burst", "TENANT"),
        policy("all-hourly", "TENANT", window="1h"),
        policy("acme-burst", "TENANT", match={"tenant": "acme"}),
        policy("acme-daily", "TENANT", window="1d", match={"tenant": "acme"}),
    ]
    assert set(applied(policies)) == {"acme-burst", "acme-daily"}
    assert set(applied(policies, key="kg")) == {"all-burst", "all-hourly"}


def test_replacing_stays_within_a_scope_and_a_unit() -> None:
    policies = [
        policy("tenant-requests", "TENANT"),
        policy("tenant-tokens", "TENANT", unit="total_tokens"),
        policy("key-requests", "API_KEY"),
        policy("acme-tokens", "TENANT", unit="total_tokens", match={"tenant": "acme"}),
    ]
    assert set(applied(policies)) == {"tenant-requests", "key-requests", "acme-tokens"}


def test_naming_something_else_than_the_subject_replaces_nothing() -> None:
    policies = [policy("all", "TENANT"), policy("premium", "TENANT", match={"qos_tier": "premium"})]
    assert set(applied(policies)) == {"all", "premium"}


def test_user_model_is_named_by_user_or_by_model() -> None:
    policies = [policy("all", "USER_MODEL"), policy("big-only", "USER_MODEL", match={"model": "big"})]
    assert set(applied(policies)) == {"big-only"}
    assert set(applied(policies, model="big2")) == {"all"}


def test_a_policy_that_is_off_neither_applies_nor_replaces() -> None:
    policies = [policy("all", "TENANT"), policy("acme", "TENANT", match={"tenant": "acme"}, mode="off")]
    assert set(applied(policies)) == {"all"}


def test_a_unit_without_a_cost_is_not_charged() -> None:
    resolver = Resolver(
        Catalogue.parse({**BASE, "policies": [policy("r", "GLOBAL"), policy("t", "GLOBAL", unit="total_tokens")]})
    )
    identity, model = resolver.identity("kp"), resolver.model("big")
    assert identity is not None
    assert model is not None
    charges = resolver.charges(identity, model, {Unit.REQUESTS: 1})
    assert [(c.policy.name, c.cost) for c in charges] == [("r", 1)]


def test_explain_says_why_of_every_policy() -> None:
    policies = [
        policy("all", "TENANT"),
        policy("acme", "TENANT", match={"tenant": "acme"}),
        policy("globex", "TENANT", match={"tenant": ["globex"]}),
        policy("asleep", "GLOBAL", mode="off"),
        policy("everyone", "GLOBAL"),
    ]
    resolver = Resolver(Catalogue.parse({**BASE, "policies": policies}))
    identity, model = resolver.identity("kp"), resolver.model("big")
    assert identity is not None
    assert model is not None
    assert [(e.policy.name, e.applies, e.reason, e.subject) for e in resolver.explain(identity, model)] == [
        ("all", False, "replaced by acme, which names the subject", ""),
        ("acme", True, "its match holds and names the subject", "acme"),
        ("globex", False, "tenant is acme, not globex", ""),
        ("asleep", False, "its mode is off", ""),
        ("everyone", True, "its match holds", ""),
    ]
