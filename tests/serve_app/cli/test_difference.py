from typing import Any

import pytest

from serve_app.cli.difference import field_changes


@pytest.mark.parametrize(
    ("kind", "before", "after", "told"),
    [
        ("tenants", None, {"name": "a", "weight": 2.0}, ["weight: 2"]),
        ("tenants", {"name": "a", "weight": 2.0}, None, []),
        ("tenants", {"name": "a", "weight": 2.0}, {"name": "a"}, ["weight: 2 -> 1"]),
        ("policies", {"name": "p", "limit": 1}, {"name": "p", "limit": 2}, ["limit: 1 -> 2"]),
        ("policies", {"match": {"tenant": ["a"]}}, {}, ["match: tenant=a -> (none)"]),
        ("policies", {}, {"block": {"denials": 2}}, ["block: (none) -> denials=2"]),
        ("models", {"aliases": ["a", "b"]}, {"aliases": ["a"]}, ["aliases: a,b -> a"]),
        ("keys", {"id": "k"}, {"id": "k", "revoked": True}, ["revoked: no -> yes"]),
        ("keys", {"id": "k"}, {"id": "k"}, ["its secret"]),
        ("keys", {"models": ["m"]}, {"models": []}, ["models: m -> (none)"]),
    ],
)
def test_fields_that_differ(
    kind: str, before: dict[str, Any] | None, after: dict[str, Any] | None, told: list[str]
) -> None:
    assert field_changes(kind, before, after) == told
