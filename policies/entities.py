"""The six entities: Tenant, UserAccount, ApiKey, ModelTier, Model, RateLimitPolicy.

Each is a frozen, validated value that knows nothing of the others; what must hold between them (references, names
used once) is checked by `policies.catalogue`.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from policies.quantities import WHOLE, DurationMs

KEY_ID = r"^(demo-[a-z]+|[A-Za-z0-9]{1,64})$"
"""Ids of API keys: letters and digits, so that the secret behind the last hyphen is found without doubt."""

MAX_COST = 10**9
"""Largest cost of one charge, in its unit."""

MAX_LIMIT = 10**12
"""Largest limit of a policy, in its unit."""

MAX_SHARDS = 64
"""Most parts that a window can be split into."""

DEFAULT_LEASE_MS = 30_000
"""How long a concurrency slot outlives a process that died without giving it back, where a policy names no window."""

QOS_TIERS = ("internal", "premium", "standard", "batch")
"""Bands of service, highest first."""


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a point in time needs its zone: write 2027-01-01T00:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:  # the last hours of the year 9999, or the first of the year 1, in some zones
        raise ValueError("a point in time must be within the years 1 to 9999, in UTC") from None


_NAME = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$"
Name = Annotated[str, Field(pattern=_NAME)]
"""Names of entities: letters, digits, `.`, `_`, `-` and `/` (models are often called `owner/name`)."""

Moment = Annotated[datetime, AfterValidator(_aware)]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else _listed(value)


def _listed(value: object) -> object:
    # A list of JSON is read as a tuple even where types are strict, but not behind a validator of our own.
    return tuple(value) if isinstance(value, list) else value


_NAME_SCHEMA = {"type": "string", "pattern": _NAME}
AnyOf = Annotated[
    tuple[Name, ...],
    BeforeValidator(_as_tuple),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_NAME_SCHEMA, {"type": "array", "items": _NAME_SCHEMA, "minItems": 1}]}),
]
"""One name or a list of names, any of which matches."""


class Entity(BaseModel):
    """Base of the entities: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Tenant(Entity):
    """A customer or a team: whom limits and service levels are agreed with."""

    name: Name
    """Unique among tenants."""
    qos_tier: Name = "standard"
    """Band in which its requests wait when the GPUs are busy: `internal`, `premium`, `standard` or `batch`. Policies
    can match on it too."""
    weight: Annotated[float, Field(gt=0, le=1_000)] = 1.0
    """Share of its band against the other tenants in it."""


class UserAccount(Entity):
    """A person or service of a tenant."""

    name: Name
    """Unique among users."""
    tenant: Name
    """Whose user it is."""


class Role(StrEnum):
    """What an API key may do."""

    INFERENCE = "inference"
    ADMIN = "admin"
    OPERATOR = "operator"
    GATEWAY = "gateway"


class ApiKey(Entity):
    """A credential of a user. The key itself is never kept, only its SHA-256."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"id": {"pattern": "^demo-"}}},
            "then": {"properties": {"demo": {"const": True}}, "required": ["demo"]},
        }
    )

    id: Annotated[str, Field(pattern=KEY_ID)]
    """The public part: a key reads `sk-<id>-<secret>`, a demo key `sk-demo-<name>`."""
    user: Name
    """Whose key it is."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Lower-case hexadecimal SHA-256 of the whole key."""
    role: Role = Role.INFERENCE
    """What it may do: `inference` asks models, `admin` has the whole admin API, `operator` reads it and revokes keys,
    `gateway` decides for another gateway. Only `inference` may ask models."""
    models: tuple[Name, ...] | None = None
    """Models it may use; every model where absent."""
    expires_at: Moment | None = None
    """From when it is refused; never where absent."""
    revoked: bool = False
    """Refused for good."""
    previous_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """What `sha256` was before the last rotation; still accepted until `previous_until`."""
    previous_until: Moment | None = None
    """Until when the secret before the last rotation is accepted."""
    demo: bool = False
    """A well-known key of the demonstration: works only where the application runs with `demo: true`."""

    @model_validator(mode="after")
    def _demo_keys_say_so(self) -> Self:
        if self.id.startswith("demo-") and not self.demo:  # it has no secret part, so it could be guessed
            raise ValueError(f"{self.id!r} is the id of a demo key: write demo: true, or choose another id")
        return self


class ModelTier(Entity):
    """A class of models that are limited together (small, large)."""

    name: Name
    """Unique among tiers."""


class Model(Entity):
    """A model that clients may name."""

    name: Name
    """Unique among models and their aliases."""
    tier: Name
    """The class of models that it belongs to."""
    pool: Name | None = None
    """The deployment that runs it (`args.models[].name`); the model's own name where absent."""
    aliases: tuple[Name, ...] = ()
    """Other names that clients may use for it; limits count them as the model itself."""
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] = 1_024
    """Longest reply, in tokens; also what is reserved for a request that names no cap of its own."""
    split: Annotated[
        dict[Name, Annotated[float, Field(gt=0, le=1_000_000)]],
        Field(json_schema_extra={"additionalProperties": False}),
    ] = {}
    """Which models serve the requests for this name, by weight, this one included where it is named: a canary is
    `{chat: 95, chat-next: 5}`. Empty: this one serves them all."""
    fallback: tuple[Name, ...] = ()
    """Models that serve instead, in this order, where no slot of this one is free in time or none of its replicas can
    serve. The limits of the one that serves apply."""
    fallback_after: DurationMs = 1_000
    """How long a request waits for a slot of this model before it falls back. Milliseconds; written as `1s`."""

    @property
    def pool_name(self) -> str:
        return self.pool or self.name


class Scope(StrEnum):
    """What one window of a policy is kept for."""

    GLOBAL = "GLOBAL"
    TENANT = "TENANT"
    API_KEY = "API_KEY"
    MODEL = "MODEL"
    MODEL_TIER = "MODEL_TIER"
    USER_MODEL = "USER_MODEL"


class Unit(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    TOTAL_TOKENS = "total_tokens"
    CONCURRENT_REQUESTS = "concurrent_requests"


class Mode(StrEnum):
    """Whether a policy decides, only counts what it would have denied, or rests."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    OFF = "off"


class OnRedisFailure(StrEnum):
    """What happens to a request when its windows cannot be read."""

    ALLOW = "allow"
    DENY = "deny"
    LOCAL = "local"


class Dimension(StrEnum):
    """What a request has that a policy can match on or be split by."""

    TENANT = "tenant"
    USER = "user"
    API_KEY = "api_key"
    MODEL = "model"
    MODEL_TIER = "model_tier"
    QOS_TIER = "qos_tier"


class Match(Entity):
    """Conditions on a request; all that are given must hold, and a list holds when any of its names does."""

    tenant: AnyOf | None = None
    user: AnyOf | None = None
    api_key: AnyOf | None = None
    model: AnyOf | None = None
    model_tier: AnyOf | None = None
    qos_tier: AnyOf | None = None

    def conditions(self) -> dict[str, tuple[str, ...]]:
        """The conditions that are given, by dimension."""
        return {name: names for name in type(self).model_fields if (names := getattr(self, name)) is not None}


class Block(Entity):
    """Denies a subject outright for a time, once it has been denied too often: for clients that do not back off."""

    denials: Annotated[int, Field(ge=1, le=1_000_000), WHOLE]
    """After how many denials."""
    within: DurationMs
    """Within what time, counted from the first of them. Milliseconds; written as `1m`."""
    duration: DurationMs
    """For how long. Milliseconds; written as `10m`."""


_LEASED = {"properties": {"unit": {"const": "concurrent_requests"}}, "required": ["unit"]}
_SPLIT = {"properties": {"shards": {"minimum": 2}}, "required": ["shards"]}


def _between_fields(schema: dict[str, Any]) -> None:
    """Says in JSON schema what must hold between the fields of a policy: all but that `shards` may not exceed `limit`,
    for which it has no words."""
    del schema["properties"]["window"]["default"]  # stands for a window that was left out, and is none itself
    schema["allOf"] = [
        {"if": _LEASED, "else": {"required": ["window"]}},
        {"if": _SPLIT, "then": {"properties": {"scope": {"const": "GLOBAL"}}, "not": _LEASED}},
    ]


class RateLimitPolicy(Entity):
    """Limits one unit over one window for each subject of its scope."""

    model_config = ConfigDict(json_schema_extra=_between_fields)

    name: Name
    scope: Scope
    unit: Unit = Unit.REQUESTS
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), WHOLE]
    window: DurationMs = 0
    """Milliseconds; written as `10s`, `1m`, `1h`, `1d`. For `concurrent_requests` it is the lease: how long a slot
    outlives a process that died (30 s where absent)."""
    match: Match = Match()
    per: Annotated[tuple[Dimension, ...], BeforeValidator(_listed), Field(json_schema_extra={"uniqueItems": True})] = ()
    mode: Mode = Mode.ENFORCE
    on_redis_failure: OnRedisFailure = OnRedisFailure.DENY
    block: Block | None = None
    shards: Annotated[int, Field(ge=1, le=MAX_SHARDS), WHOLE] = 1
    """Into how many parts the window is split, so that the nodes of a Redis Cluster share the load of a hot one. Each
    part has its share of the limit; together they never hold more, and may deny a little early (docs/cluster.md)."""

    @model_validator(mode="before")
    @classmethod
    def _lease(cls, data: Any) -> Any:
        if isinstance(data, dict) and "window" not in data and data.get("unit") == Unit.CONCURRENT_REQUESTS:
            data = {**data, "window": DEFAULT_LEASE_MS}
        return data

    @model_validator(mode="after")
    def _window_given(self) -> Self:
        # After everything else, so that it does not hide the misspelt key that was meant to be this one.
        if not self.window:
            raise ValueError("window: missing; write how long the limit looks back, such as 10s, 1m or 1d")
        return self

    @field_validator("per")
    @classmethod
    def _dimensions_once(cls, per: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
        if len(set(per)) != len(per):
            raise ValueError(f"per: {[str(d) for d in per]} names a dimension twice")
        return per

    @model_validator(mode="after")
    def _can_be_split(self) -> "RateLimitPolicy":
        if self.shards == 1:
            return self
        if self.scope is not Scope.GLOBAL:
            raise ValueError(f"shards: only a GLOBAL window can be split, and this one is kept for each {self.scope}")
        if self.is_lease:
            raise ValueError("shards: concurrent_requests cannot be split; leave shards out, or count requests")
        if self.shards > self.limit:
            raise ValueError(f"shards: {self.shards} parts of a limit of {self.limit} leave some with nothing")
        return self

    def limit_of(self, shard: int) -> int:
        """The share of the limit of one part of the window. Together they are the limit."""
        share, left_over = divmod(self.limit, self.shards)
        return share + (shard < left_over)

    @property
    def is_lease(self) -> bool:
        """Whether what it counts is held and given back, rather than spent."""
        return self.unit is Unit.CONCURRENT_REQUESTS
