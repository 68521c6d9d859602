"""list, show, apply and delete, of every kind."""

import json

import pytest

from tests.serve_app.cli.conftest import Sluice

ENTITIES = {
    "tenants": {"name": "acme", "qos_tier": "premium"},
    "users": {"name": "paula", "tenant": "acme"},
    "tiers": {"name": "dear"},
    "models": {"name": "owner/large", "tier": "dear", "aliases": ["big"]},
    "policies": {"name": "acme-burst", "scope": "TENANT", "limit": 2, "window": "10s", "match": {"tenant": ["acme"]}},
}
"""One of each kind that can be applied, in an order in which each finds what it names."""


def fill(sluice: Sluice) -> None:
    for kind, entity in ENTITIES.items():
        sluice.ok(kind, "apply", "-f", "-", stdin=json.dumps(entity))


def test_each_kind_is_created_shown_listed_and_deleted(sluice: Sluice) -> None:
    for kind, entity in ENTITIES.items():
        answer = sluice.ok(kind, "apply", "-f", "-", stdin=json.dumps(entity))
        assert answer.out.startswith(f"created {kind.removesuffix('s').replace('policie', 'policy')} {entity['name']}")
    for kind, entity in ENTITIES.items():
        shown = sluice.ok(kind, "show", str(entity["name"]), "--json").json
        assert {field: shown[field] for field in entity if field != "match"}.items() <= entity.items()
        assert entity["name"] in sluice.ok(kind, "list").out
        assert [each["name"] for each in sluice.ok(kind, "list", "--source", "api", "--json").json] == [entity["name"]]
    for kind, entity in reversed(ENTITIES.items()):
        assert sluice.ok(kind, "delete", str(entity["name"]), "--yes").out.startswith("deleted")
        assert sluice(kind, "show", str(entity["name"])).code == 3


@pytest.mark.parametrize("kind", ENTITIES)
def test_what_is_shown_can_be_applied(sluice: Sluice, kind: str) -> None:
    fill(sluice)
    name = str(ENTITIES[kind]["name"])
    before = sluice.ok(kind, "show", name, "--json").json
    sluice.ok(kind, "apply", "-f", "-", stdin=sluice.ok(kind, "show", name).out)
    assert {**sluice.ok(kind, "show", name, "--json").json, "version": before["version"]} == before


@pytest.mark.parametrize("form", ["one", "list", "named"])
def test_forms_of_a_file(sluice: Sluice, form: str) -> None:
    text = {
        "one": "name: acme\nweight: 2",
        "list": "- name: acme\n  weight: 2\n- {name: globex}",
        "named": "tenants:\n- {name: acme, weight: 2}",
    }[form]
    sluice.ok("tenants", "apply", "-f", "-", stdin=text)
    assert sluice.ok("tenants", "show", "acme", "--json").json["weight"] == 2


def test_only_if_nobody_changed_it(sluice: Sluice) -> None:
    first = sluice.ok("tenants", "apply", "-f", "-", "--json", stdin="name: acme").json[0]["version"]
    sluice.ok("tenants", "apply", "-f", "-", stdin="{name: acme, weight: 2}", key="admin1")
    lost = sluice("tenants", "apply", "-f", "-", "--if-version", str(first), stdin="{name: acme, weight: 3}")
    assert lost.code == 5
    assert sluice("tenants", "delete", "acme", "--yes", "--if-version", str(first)).code == 5
    assert sluice.ok("tenants", "show", "acme", "--json").json["weight"] == 2


def test_a_file_is_checked_before_anything_is_sent(sluice: Sluice) -> None:
    wrong = "- name: acme\n- name: globex\n  wieght: 2\n- name: acme\n"
    answer = sluice("tenants", "apply", "-f", "-", stdin=wrong)
    assert answer.code == 1
    assert "-:3: tenants[1]: unknown key 'wieght'; did you mean 'weight'?" in answer.err.replace(".wieght", "")
    assert "-:4: tenant 'acme' stands on line 1 too" in answer.err
    assert sluice.ok("tenants", "list", "--source", "api", "--json").json == []


def test_what_was_written_before_a_failure_is_told(sluice: Sluice) -> None:
    answer = sluice("users", "apply", "-f", "-", stdin="- {name: a, tenant: platform}\n- {name: b, tenant: nowhere}")
    assert answer.code == 5
    assert "'nowhere'" in answer.err
    assert "Before that 1 user was written: a." in answer.err


def test_deleting_asks(sluice: Sluice) -> None:
    sluice.ok("tenants", "apply", "-f", "-", stdin="name: acme")
    answer = sluice("tenants", "delete", "acme")
    assert answer.code == 1
    assert "say --yes" in answer.err
    sluice.ok("tenants", "show", "acme")


def test_what_is_named_stays(sluice: Sluice) -> None:
    fill(sluice)
    answer = sluice("tenants", "delete", "acme", "--yes")
    assert answer.code == 5
    assert "paula" in answer.err


def test_filters(sluice: Sluice) -> None:
    fill(sluice)
    names = [each["name"] for each in sluice.ok("users", "list", "--tenant", "acme", "--json").json]
    assert names == ["paula"]
    assert [each["id"] for each in sluice.ok("keys", "list", "--role", "operator", "--json").json] == ["operator1"]
    assert sluice.ok("keys", "list", "--revoked", "--json").json == []
    assert len(sluice.ok("keys", "list", "--no-revoked", "--json").json) == 4
    assert len(sluice.ok("models", "list", "--tier", "dear", "--json").json) == 1
    assert len(sluice.ok("tenants", "list", "--qos-tier", "premium", "--json").json) == 1
    policies = ("policies", "list", "--scope", "TENANT", "--unit", "requests", "--mode", "enforce", "--tenant", "acme")
    assert len(sluice.ok(*policies, "--json").json) == 1
    assert "no policies that fit" in sluice.ok("policies", "list", "--model", "small").err


def test_pages_are_followed(sluice: Sluice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.cli.client.PAGE_ITEMS", 10)
    many = [{"name": f"t{at:03}"} for at in range(35)]
    sluice.ok("tenants", "apply", "-f", "-", stdin=json.dumps(many))
    everything = sluice.ok("tenants", "list", "--source", "api", "--all", "--json").json
    assert [each["name"] for each in everything] == [each["name"] for each in many]
    some = sluice.ok("tenants", "list", "--source", "api", "--limit", "13")
    assert len(some.out.splitlines()) == 1 + 13
    assert some.out.count("qos_tier") == 1
    assert "there are more than 13" in some.err
    assert sluice.ok("tenants", "list", "--limit", "36").err == ""


def test_config_entities_are_read_only(sluice: Sluice) -> None:
    assert sluice.ok("tenants", "show", "platform").out.startswith("# from the configuration file")
    answer = sluice("tenants", "apply", "-f", "-", stdin="name: platform")
    assert answer.code == 5
    assert "configuration" in answer.err


def test_narrow_terminals_get_blocks(sluice: Sluice, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))
    sluice.environ["COLUMNS"] = "40"
    out = sluice.ok("policies", "list").out
    assert "scope   GLOBAL" in out
    assert max(map(len, out.splitlines())) <= 40
