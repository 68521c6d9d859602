"""The bodies of requests that are not just an entity."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model

from policies.catalogue import Kind
from policies.catalogue.whole import Lists
from policies.entities import Entity, Moment, Name, Role
from policies.quantities import MAX_WINDOW_MS, duration_schema, parse_duration_ms

DEFAULT_OVERLAP_MS = 86_400_000
"""How long the old secret of a rotated key works where nothing is said: a day."""

PUTS: dict[Kind, type[BaseModel]] = {
    kind: create_model(
        f"{kind.entity.__name__}Put",
        __base__=kind.entity,
        __doc__=f"A {kind.singular} to put under the name in the path, which the body need not repeat.",
        name=(Name | None, Field(None, description="The name in the path, where it is given at all.")),
    )
    for kind in Kind
    if kind is not Kind.KEYS
}
"""An entity whose name stands in the path, by kind."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeySettings(_Request):
    """What may be set of a key. What is left out has its default."""

    user: Annotated[Name, Field(description="Whose key it is.")]
    role: Annotated[Role, Field(description="What it may do.")] = Role.INFERENCE
    models: Annotated[tuple[Name, ...] | None, Field(description="Models it may use; null: every model.")] = None
    expires_at: Annotated[Moment | None, Field(description="From when on it is refused; null: never.")] = None


class KeyIssue(KeySettings):
    """A key to be made."""

    id: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9]{1,64}$", description="Its id; made up where it is left out.")
    ] = None


class KeyRotation(_Request):
    """How a key is rotated."""

    overlap: Annotated[
        int,
        BeforeValidator(parse_duration_ms),
        Field(ge=0, le=MAX_WINDOW_MS, description="How long the old secret still works: 0s to 31d."),
        WithJsonSchema(duration_schema(0)),
    ] = DEFAULT_OVERLAP_MS


class ImportPart(Lists):
    """Some entities of a file that is imported. Keys carry their SHA-256, as an export has it."""


CREATED: tuple[type[Entity], ...] = tuple(kind.entity for kind in PUTS)
"""Entities that are created as they are."""
REQUESTS: tuple[type[BaseModel], ...] = (*CREATED, *PUTS.values(), KeySettings, KeyIssue, KeyRotation, ImportPart)
"""Every body that the admin API reads."""
