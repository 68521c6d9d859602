"""What lists can be narrowed by, for each kind, and how a page is asked for. An unknown parameter is an error."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from deployments.ingress.admin.cursors import MAX_CURSOR
from policies.catalogue import Kind
from policies.catalogue.listing import Filters
from policies.entities import Mode, Name, Role, Scope, Unit

MOST_ITEMS = 1_000
"""Largest page."""

Absent = SkipJsonSchema[None]
"""A parameter that was left out. (None is nothing that could be sent in an address.)"""


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_flag), Field(strict=True)]
"""`true` or `false` in an address, and no other of the words that could mean them."""

QosTier = Literal["internal", "premium", "standard", "batch"]


class PageQuery(BaseModel):
    """What every list takes."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MOST_ITEMS, description="Most items of the page.")] = 50
    cursor: Annotated[
        Annotated[str, Field(max_length=MAX_CURSOR, pattern=r"^[A-Za-z0-9_-]+$")] | Absent,
        Field(description="The `next_cursor` of the page before; leave it out for the first."),
    ] = None


class ListQuery(PageQuery):
    """Lists of entities."""

    source: Annotated[
        Literal["config", "api"] | Absent, Field(description="Only from the configuration file, or only from this API.")
    ] = None

    def filters(self) -> Filters:
        """As the catalogue takes them."""
        return Filters(**self.model_dump(exclude={"limit", "cursor"}))


class TenantQuery(ListQuery):
    """Tenants."""

    qos_tier: Annotated[QosTier | Absent, Field(description="Only of this band.")] = None


class UserQuery(ListQuery):
    """Users."""

    tenant: Annotated[Name | Absent, Field(description="Only of this tenant.")] = None


class KeyQuery(ListQuery):
    """API keys."""

    tenant: Annotated[Name | Absent, Field(description="Only of users of this tenant.")] = None
    user: Annotated[Name | Absent, Field(description="Only of this user.")] = None
    role: Annotated[Role | Absent, Field(description="Only of this role.")] = None
    revoked: Annotated[Flag | Absent, Field(description="Only revoked ones, or only those that are not.")] = None
    model: Annotated[Name | Absent, Field(description="Only those that may use this model.")] = None


class ModelQuery(ListQuery):
    """Models."""

    tier: Annotated[Name | Absent, Field(description="Only of this tier.")] = None


class PolicyQuery(ListQuery):
    """Policies."""

    scope: Annotated[Scope | Absent, Field(description="Only of this scope.")] = None
    unit: Annotated[Unit | Absent, Field(description="Only those that count this.")] = None
    mode: Annotated[Mode | Absent, Field(description="Only of this mode.")] = None
    tenant: Annotated[Name | Absent, Field(description="Only those whose `match` names this tenant.")] = None
    model: Annotated[Name | Absent, Field(description="Only those whose `match` names this model.")] = None


QUERIES: dict[Kind, type[ListQuery]] = {
    Kind.TENANTS: TenantQuery,
    Kind.USERS: UserQuery,
    Kind.KEYS: KeyQuery,
    Kind.TIERS: ListQuery,
    Kind.MODELS: ModelQuery,
    Kind.POLICIES: PolicyQuery,
}
