"""The entity diagram of docs/design.md is the entities of policies/entities.py: their fields, of their types, and which
of them names which."""

import re

import pytest

from policies.entities import Entity
from policies.quantities import DURATION_FORMAT
from tests.docs.blocks import in_way

(DIAGRAM,) = [block.text for block in in_way("entities")]
DRAWN = {
    name: [tuple(line.split()[:2]) for line in body.strip().splitlines()]
    for name, body in re.findall(r"^    (\w+) \{\n(.*?)^    \}", DIAGRAM, re.MULTILINE | re.DOTALL)
}
RELATIONS = set(re.findall(r"^    (\w+) [|}{o.-]+ (\w+) :", DIAGRAM, re.MULTILINE))

REFERENCES = {
    ("Tenant", "UserAccount"): ("UserAccount", "tenant"),
    ("UserAccount", "ApiKey"): ("ApiKey", "user"),
    ("ModelTier", "Model"): ("Model", "tier"),
    ("ApiKey", "Model"): ("ApiKey", "models"),
    ("Model", "Model"): ("Model", "fallback"),
    ("RateLimitPolicy", "Match"): ("RateLimitPolicy", "match"),
    ("RateLimitPolicy", "Block"): ("RateLimitPolicy", "block"),
    ("Match", "Tenant"): ("Match", "tenant"),
    ("Match", "UserAccount"): ("Match", "user"),
    ("Match", "ApiKey"): ("Match", "api_key"),
    ("Match", "Model"): ("Match", "model"),
    ("Match", "ModelTier"): ("Match", "model_tier"),
}
"""Each line between two entities, and the field that it stands for."""


def entities() -> dict[str, type[Entity]]:
    return {entity.__name__: entity for entity in Entity.__subclasses__()}


def kind(schema: dict[str, object], named: dict[str, dict[str, object]]) -> str:
    """The diagram's word for what a field takes."""
    if reference := schema.get("$ref"):
        name = str(reference).rsplit("/", 1)[-1]
        return name if "enum" in named[name] or "properties" in named[name] else kind(named[name], named)
    if options := schema.get("anyOf"):
        assert isinstance(options, list)
        if any(option.get("format") == DURATION_FORMAT for option in options):
            return "duration"
        kinds = [kind(option, named) for option in options if option.get("type") != "null"]
        return "list" if "list" in kinds else kinds[0]
    if schema.get("format") == "date-time":
        return "moment"
    words = {"string": "text", "array": "list", "object": "mapping"}
    return words.get(str(schema["type"]), str(schema["type"]))


def test_every_entity_is_drawn() -> None:
    assert set(DRAWN) == set(entities())


@pytest.mark.parametrize("name", sorted(entities()))
def test_its_fields_are_drawn(name: str) -> None:
    schema = entities()[name].model_json_schema()
    expected = [(kind(each, schema.get("$defs", {})), field) for field, each in schema["properties"].items()]
    assert DRAWN[name] == expected


def test_every_line_stands_for_a_field() -> None:
    assert set(REFERENCES) == RELATIONS
    for owner, field in REFERENCES.values():
        assert field in entities()[owner].model_fields
