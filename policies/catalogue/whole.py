"""The catalogue: the six kinds of entity as one validated whole.

It is read from `user_config` in serve_config.yaml. What one entity may hold is `policies.entities`; here is what must
hold between them: names used once, references that lead somewhere, policies that can apply to something.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from policies.entities import QOS_TIERS, ApiKey, Model, ModelTier, RateLimitPolicy, Tenant, UserAccount
from policies.errors import CatalogueError


class Lists(BaseModel):
    """Entities by kind, each valid by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenants: tuple[Tenant, ...] = ()
    users: tuple[UserAccount, ...] = ()
    keys: tuple[ApiKey, ...] = ()
    tiers: tuple[ModelTier, ...] = ()
    models: tuple[Model, ...] = ()
    policies: tuple[RateLimitPolicy, ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, Any], place: str = "catalogue") -> Self:
        """Validates plain data; raises `CatalogueError` with one sentence for each problem, its place first."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            # Without its cause: what pydantic says repeats every value, and a traceback ends up in a log.
            raise CatalogueError(describe(error, place, cls)) from None


class Catalogue(Lists):
    """Everything that requests are identified by and judged against, consistent as a whole."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = list(_problems(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self


def check_user_config(user_config: Mapping[str, Any]) -> list[str]:
    """Everything wrong with the `user_config` of the deployment Ingress, each as `place: what`; empty when right."""
    unknown = [f"{key}: unknown key; the only one is catalogue" for key in user_config if key != "catalogue"]
    try:
        catalogue = user_config.get("catalogue")
        Catalogue.parse({} if catalogue is None else catalogue)
    except CatalogueError as error:
        return unknown + error.problems
    return unknown


def describe(error: ValidationError, place: str, model: type[BaseModel], most: int | None = None) -> list[str]:
    """One sentence for each problem that pydantic found (the first `most` of them): the place, the value, what is
    accepted."""
    sentences = []
    for problem in error.errors(include_url=False)[:most]:
        where = place
        for part in problem["loc"]:
            where += f"[{part}]" if isinstance(part, int) else f".{part}"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            key = str(problem["loc"][-1])
            message = f"unknown key {key!r}" + _did_you_mean(key, _fields_at(model, problem["loc"][:-1]))
        elif problem["type"] == "missing":
            message = "missing"
        elif problem["loc"][-1:] == ("sha256",):  # where somebody may have put the key itself: not repeated
            message = "must be the lower-case hexadecimal SHA-256 of the key, 64 characters"
        elif problem["type"] in _SHAPES:
            message = f"must be {_SHAPES[problem['type']]} (got {problem['input']!r:.80})"
        elif problem["type"] not in ("value_error", "assertion_error"):
            message += f" (got {problem['input']!r:.80})"
        sentences += [f"{where}: {line}" for line in message.splitlines()]
    return sentences


_SHAPES = {
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
}
"""pydantic's kinds of error about Python's types, as somebody who writes YAML calls what is accepted."""


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The fields of the nested model that `location` leads to."""
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        if field is None:
            return []
        annotations: list[Any] = [field.annotation]
        while annotations:
            annotation = annotations.pop()
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                model = annotation
                break
            annotations += getattr(annotation, "__args__", ())
    return list(model.model_fields)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(known)}" if known else ""


def _problems(catalogue: Catalogue) -> Iterable[str]:
    tenants = {tenant.name for tenant in catalogue.tenants}
    users = {user.name for user in catalogue.users}
    keys = {key.id for key in catalogue.keys}
    tiers = {tier.name for tier in catalogue.tiers}
    models = {model.name for model in catalogue.models}
    aliases = [alias for model in catalogue.models for alias in model.aliases]
    known = {
        "tenant": tenants,
        "user": users,
        "api_key": keys,
        "model": models,
        "model_tier": tiers,
        "qos_tier": set(QOS_TIERS),
    }

    yield from _twice("tenants", (tenant.name for tenant in catalogue.tenants))
    yield from _twice("users", (user.name for user in catalogue.users))
    yield from _twice("keys", (key.id for key in catalogue.keys))
    yield from _twice("tiers", (tier.name for tier in catalogue.tiers))
    yield from _twice("models", [*(model.name for model in catalogue.models), *aliases])
    yield from _twice("policies", (policy.name for policy in catalogue.policies))
    for tenant in catalogue.tenants:
        yield from _unknown(f"tenant {tenant.name!r}", "qos_tier", (tenant.qos_tier,), known["qos_tier"])
    for user in catalogue.users:
        yield from _unknown(f"user {user.name!r}", "tenant", (user.tenant,), tenants)
    for key in catalogue.keys:
        yield from _unknown(f"key {key.id!r}", "user", (key.user,), users)
        yield from _unknown(f"key {key.id!r}", "models", key.models or (), models)
    for model in catalogue.models:
        yield from _unknown(f"model {model.name!r}", "tier", (model.tier,), tiers)
        yield from _unknown(f"model {model.name!r}", "split", model.split, models)
        yield from _unknown(f"model {model.name!r}", "fallback", model.fallback, models)
    for policy in catalogue.policies:
        for dimension, names in policy.match.conditions().items():
            yield from _unknown(f"policy {policy.name!r}", f"match.{dimension}", names, known[dimension])


def _twice(place: str, names: Iterable[str]) -> Iterable[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{place}: the name {name!r} is used {count} times; each must be unique"


def _unknown(place: str, field: str, names: Iterable[str], known: set[str]) -> Iterable[str]:
    for name in names:
        if name not in known:
            hint = _did_you_mean(name, known) if len(known) <= 1_000 else ""
            yield f"{place}: {field} {name!r} does not exist{hint}"
