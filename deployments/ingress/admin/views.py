"""What the admin API shows of the catalogue: each entity's fields, where it comes from and whether it has an effect."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from policies.catalogue import Kind, Stored
from policies.entities import Model, ModelTier, Moment, Name, RateLimitPolicy, Role, Tenant, UserAccount

View = TypeVar("View", bound=BaseModel)


class Told(BaseModel):
    """What is told of every entity beside its own fields."""

    source: Annotated[
        Literal["config", "api"],
        Field(description="Who writes it: the configuration file (read-only here), or this API.", examples=["api"]),
    ]
    version: Annotated[
        int, Field(description="The catalogue's version at its last change; 0 for `config`.", ge=0, examples=[12])
    ]
    problem: Annotated[str | None, Field(description="Why it has no effect now; null where it has.")] = None


class TenantView(Told, Tenant):
    """A tenant as it is now."""


class UserView(Told, UserAccount):
    """A user as it is now."""


class TierView(Told, ModelTier):
    """A tier of models as it is now."""


class ModelView(Told, Model):
    """A model as it is now."""


class PolicyView(Told, RateLimitPolicy):
    """A policy as it is now."""


class KeyView(Told):
    """An API key as it is now. Neither the key nor its hash is ever shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[
        str, Field(description="The public part: a key reads `sk-<id>-<secret>`.", examples=["Ab3dEf6hIj9kLm2n"])
    ]
    user: Name
    role: Role
    models: Annotated[tuple[Name, ...] | None, Field(description="Models it may use; null: every model.")] = None
    expires_at: Moment | None = None
    revoked: bool
    previous_until: Annotated[
        Moment | None, Field(description="Until when the secret before the last rotation still works.")
    ] = None
    demo: bool


class PageOf(BaseModel, Generic[View]):
    """Some of a list, in order of names."""

    items: tuple[View, ...]
    next_cursor: Annotated[
        str | None,
        Field(description="Where to go on; null at the end. A page may be short and yet have one."),
    ] = None


class TenantPage(PageOf[TenantView]):
    """Tenants."""


class UserPage(PageOf[UserView]):
    """Users."""


class KeyPage(PageOf[KeyView]):
    """API keys."""


class TierPage(PageOf[TierView]):
    """Tiers of models."""


class ModelPage(PageOf[ModelView]):
    """Models."""


class PolicyPage(PageOf[PolicyView]):
    """Policies."""


VIEWS: dict[Kind, type[Told]] = {
    Kind.TENANTS: TenantView,
    Kind.USERS: UserView,
    Kind.KEYS: KeyView,
    Kind.TIERS: TierView,
    Kind.MODELS: ModelView,
    Kind.POLICIES: PolicyView,
}
PAGES: dict[Kind, type[PageOf[Any]]] = {
    Kind.TENANTS: TenantPage,
    Kind.USERS: UserPage,
    Kind.KEYS: KeyPage,
    Kind.TIERS: TierPage,
    Kind.MODELS: ModelPage,
    Kind.POLICIES: PolicyPage,
}


def view_of(stored: Stored) -> Told:
    """An entity as it is shown. Its fields are valid already, so they are taken as they are."""
    view = VIEWS[stored.kind]
    fields: dict[str, Any] = {
        name: getattr(stored.entity, name) for name in view.model_fields if name not in Told.model_fields
    }
    fields |= {"source": stored.source, "version": stored.version, "problem": stored.problem or None}
    return view.model_construct(**fields)
