"""What a person sees of each kind of entity: the columns of its table.

What an entity may hold is `policies.entities`, which is not imported here, so that help and completion stay quick.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from serve_app.cli.output import plain

SINGULAR = {
    "tenants": "tenant",
    "users": "user",
    "keys": "key",
    "tiers": "tier",
    "models": "model",
    "policies": "policy",
}
"""The six kinds as they are called in paths, files and commands, in the order of a catalogue, and one of each."""

_OWN_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "tenants": ("name", "qos_tier", "weight"),
    "users": ("name", "tenant"),
    "keys": ("id", "user", "role", "models", "expires_at", "state"),
    "tiers": ("name",),
    "models": ("name", "tier", "pool", "aliases", "max_output_tokens"),
    "policies": ("name", "scope", "unit", "limit", "window", "match", "per", "mode"),
}


def name_of(kind: str, entity: Mapping[str, Any]) -> str:
    """The name of an entity; of a key, its id."""
    return str(entity["id" if kind == "keys" else "name"])


def columns_of(kind: str, items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns for these entities: `problem` stands there only where one of them has one."""
    problems = ("problem",) if any(item.get("problem") for item in items) else ()
    return (*_OWN_COLUMNS[kind], "source", *problems)


def row_of(columns: Sequence[str], item: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of one entity."""
    return tuple(_state(item) if column == "state" else plain(item.get(column)) for column in columns)


def _state(key: Mapping[str, Any]) -> str:
    """Whether a key works now, by this machine's clock; the server goes by its own."""
    if key.get("revoked"):
        return "revoked"
    if _is_over(key.get("expires_at")):
        return "expired"
    until = key.get("previous_until")
    return "active" if until is None or _is_over(until) else f"active, and its old secret until {until}"


def _is_over(moment: str | None) -> bool:
    return moment is not None and datetime.fromisoformat(moment) <= datetime.now(UTC)
