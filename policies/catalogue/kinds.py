"""The six kinds of entity as data that is stored, listed and audited: what all kinds have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from policies.entities import ApiKey, Entity, Model, ModelTier, RateLimitPolicy, Tenant, UserAccount

Source = Literal["config", "api"]
"""Who wrote an entity: the configuration file, or the admin API."""


class Kind(StrEnum):
    """A kind of entity, by the name of its list in a catalogue and of its path in the admin API."""

    TENANTS = "tenants"
    USERS = "users"
    KEYS = "keys"
    TIERS = "tiers"
    MODELS = "models"
    POLICIES = "policies"

    @property
    def entity(self) -> type[Entity]:
        """The class of its entities."""
        return _ENTITIES[self]

    @property
    def singular(self) -> str:
        """What one of them is called in a sentence."""
        return {"keys": "key", "policies": "policy"}.get(self.value, self.value[:-1])


_ENTITIES: Mapping[Kind, type[Entity]] = {
    Kind.TENANTS: Tenant,
    Kind.USERS: UserAccount,
    Kind.KEYS: ApiKey,
    Kind.TIERS: ModelTier,
    Kind.MODELS: Model,
    Kind.POLICIES: RateLimitPolicy,
}

_MATCHED: Mapping[str, Kind] = {
    "tenant": Kind.TENANTS,
    "user": Kind.USERS,
    "api_key": Kind.KEYS,
    "model": Kind.MODELS,
    "model_tier": Kind.TIERS,
}
"""The kinds that the conditions of a policy's `match` name; `qos_tier` names none of them."""

Reference = tuple[Kind, str]
"""A kind and a name."""


def name_of(entity: Entity) -> str:
    """The name of an entity; of a key, its id."""
    return entity.id if isinstance(entity, ApiKey) else str(entity.name)  # type: ignore[attr-defined] # all others have one


def references_of(entity: Entity) -> tuple[Reference, ...]:
    """What an entity names, each once."""
    match entity:
        case UserAccount():
            return ((Kind.TENANTS, entity.tenant),)
        case ApiKey():
            return ((Kind.USERS, entity.user), *((Kind.MODELS, model) for model in dict.fromkeys(entity.models or ())))
        case Model():
            others = dict.fromkeys((*entity.split, *entity.fallback))
            return ((Kind.TIERS, entity.tier), *((Kind.MODELS, name) for name in others if name != entity.name))
        case RateLimitPolicy():
            named = entity.match.conditions().items()
            return tuple(dict.fromkeys((_MATCHED[by], name) for by, names in named if by in _MATCHED for name in names))
    return ()


def names_taken(entity: Entity) -> tuple[str, ...]:
    """The names that clients may call a model by, which no other model may have; empty for other kinds."""
    return tuple(dict.fromkeys((entity.name, *entity.aliases))) if isinstance(entity, Model) else ()


@dataclass(frozen=True, slots=True)
class Stored:
    """An entity as the catalogue holds it."""

    kind: Kind
    entity: Entity
    version: int
    """The catalogue's version at which it was last written; 0 where it comes from the configuration."""
    source: Source = "api"
    problem: str = ""
    """Why it has no effect (what it names is gone, or the configuration has one of its name); empty where it has."""

    @property
    def name(self) -> str:
        return name_of(self.entity)


@dataclass(frozen=True, slots=True)
class Page:
    """Some entities of one kind, in order of their names."""

    items: tuple[Stored, ...]
    next_after: str | None
    """Go on behind this name; None where there is no more. A page may be short although there is more."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a change."""

    api_key: str
    """The id of the key."""
    user: str
    tenant: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of the catalogue, as it was made."""

    version: int
    """The catalogue's version after it; each change has its own."""
    at: datetime
    """By the Redis server's clock."""
    actor: Actor
    action: str
    """`create`, `update`, `delete`, `issue`, `rotate`, `revoke` or `import`."""
    kind: Kind
    name: str
    before: Mapping[str, Any] | None
    """The entity's fields, without hashes of keys; None where there was none."""
    after: Mapping[str, Any] | None


SECRET_FIELDS = frozenset({"sha256", "previous_sha256"})
"""Fields of a key that only a whole export shows."""
