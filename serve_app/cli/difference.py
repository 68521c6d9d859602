"""What a change does, in words: fields before and after, and the difference that a plan found."""

from collections.abc import Mapping, Sequence
from typing import Any

from serve_app.cli.kinds import SINGULAR
from serve_app.cli.output import Output, plain

SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}

_NAMES = frozenset({"name", "id"})


def field_changes(kind: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    """The fields that differ, as `limit: 2 -> 5`; of a new entity all that it has, of a deleted one nothing.

    >>> field_changes("tenants", {"name": "acme", "weight": 2.0}, {"name": "acme", "qos_tier": "batch"})
    ['weight: 2 -> 1', 'qos_tier: standard -> batch']
    """
    if after is None:
        return []
    if before is None:
        return [f"{field}: {plain(value)}" for field, value in after.items() if field not in _NAMES and plain(value)]
    changes = []
    for field in dict.fromkeys((*before, *after)):
        default = _default(kind, field)
        old, new = before.get(field, default), after.get(field, default)
        if old != new:
            changes.append(f"{field}: {plain(old) or '(none)'} -> {plain(new) or '(none)'}")
    return changes or ["its secret"]  # what is never shown


def show_plan(output: Output, plan: Mapping[str, Any]) -> None:
    """The plan for a person: a line for each difference, then how many there are."""
    for each in plan["differences"]:
        sign, style = SIGNS[each["action"]]
        changes = "  ".join(field_changes(each["kind"], each["before"], each["after"]))
        output.line(f"{sign} {SINGULAR[each['kind']]} {each['name']}  {changes}".rstrip(), style)
    left_out = changed(plan) - len(plan["differences"])
    if left_out > 0:
        output.line(f"… and {left_out} more")
    output.line(counts(plan))


def changed(plan: Mapping[str, Any]) -> int:
    """How many entities a plan would change."""
    return int(plan["create"]) + int(plan["update"]) + int(plan["delete"])


def counts(plan: Mapping[str, Any]) -> str:
    """`2 to create, 1 to change, 0 to delete, 40 as they are`."""
    return (
        f"{plan['create']} to create, {plan['update']} to change, {plan['delete']} to delete, "
        f"{plan['unchanged']} as they are"
    )


def _default(kind: str, field: str) -> Any:
    """What a field is where an entity leaves it out: as the API would have written it."""
    from policies.catalogue import Kind

    info = Kind(kind).entity.model_fields.get(field)
    if info is None or info.is_required():
        return None
    return _as_json(info.get_default())


def _as_json(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_defaults=True)
    return value
