"""Tables of settings, made from the pydantic models that read them.

A page says where a table belongs, and of what: `<!-- fields of serve_app.config:RedisSettings as redis. -->` and
`<!-- end of fields -->`, with the table between. `python -m docs.site.reference` writes them anew.
"""

import importlib
import json
import re
from typing import Any

from pydantic import BaseModel

from policies.quantities import DURATION_FORMAT, format_duration

_PLACE = re.compile(
    r"(<!-- fields of (?P<model>[\w.]+:\w+)(?: as (?P<prefix>[\w.]+))? -->\n).*?(<!-- end of fields -->)", re.DOTALL
)


def with_tables(page: str) -> str:
    """The page with every table as its model is now."""
    return _PLACE.sub(_filled, page)


def _filled(place: re.Match[str]) -> str:
    return f"{place[1]}\n{table(_model(place['model']), place['prefix'] or '')}\n\n{place[4]}"


def models_in(page: str) -> list[type[BaseModel]]:
    """The models whose tables a page has."""
    return [_model(found["model"]) for found in _PLACE.finditer(page)]


def undocumented(model: type[BaseModel]) -> list[str]:
    """Fields without a word about them."""
    return [name for name, field in model.model_fields.items() if not field.description]


def table(model: type[BaseModel], prefix: str = "") -> str:
    """One row for each field, in the order of the model."""
    schema = model.model_json_schema()
    rows = ["| field | takes | default | what it does |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        described = schema["properties"][name]
        taken = _kind(described, schema.get("$defs", {}))
        text = " ".join((field.description or "").split())
        cells = (f"`{prefix}{name}`", taken, _default(model, name, described), text)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _model(path: str) -> type[BaseModel]:
    module, _, name = path.partition(":")
    model: type[BaseModel] = getattr(importlib.import_module(module), name)
    return model


def _default(model: type[BaseModel], name: str, schema: dict[str, Any]) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "(needed)"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or isinstance(value, BaseModel) or _holds_models(value):
        return ""
    if _is_duration(schema):
        return f"`{format_duration(value)}`" if value else ""
    if isinstance(value, tuple | list | dict | bool):
        return f"`{json.dumps(value)}`"
    return f"`{value}`"


def _holds_models(value: Any) -> bool:
    return isinstance(value, tuple | list) and any(isinstance(each, BaseModel) for each in value)


def _is_duration(schema: dict[str, Any]) -> bool:
    return any(each.get("format") == DURATION_FORMAT for each in schema.get("anyOf", ()))


def _kind(schema: dict[str, Any], named: dict[str, Any]) -> str:
    """What a JSON schema takes, in few words."""
    if "$ref" in schema:
        return _kind(named[schema["$ref"].rsplit("/", 1)[-1]], named)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if _is_duration(schema):
        (text,) = (each for each in schema["anyOf"] if "format" in each)
        return f"a duration, {text['description']}"
    if "anyOf" in schema:
        kinds = [_kind(each, named) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    return _of_type(schema, named)


def _of_type(schema: dict[str, Any], named: dict[str, Any]) -> str:
    kind = schema.get("type")
    if kind == "array":
        return f"a list of: {_kind(schema.get('items', {}), named)}"
    if kind == "object":
        return "a mapping"
    if kind == "boolean":
        return "`true`, `false`"
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _range(schema)
    return "a point in time" if schema.get("format") == "date-time" else "text"


def _range(schema: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    beginning = f"{least:,}" if least is not None else f"more than {above:,}" if above is not None else ""
    if beginning and most is not None:
        return f", {beginning} to {most:,}"
    return f", {beginning}" + (" or more" if least is not None else "") if beginning else ""
