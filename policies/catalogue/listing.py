"""Looking things up and listing them for people: both sources together, with what has no effect and why."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from heapq import merge
from typing import Any

from policies.catalogue.kinds import Kind, Page, Reference, Source, Stored, name_of, references_of
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import MANAGED
from policies.entities import Entity, RateLimitPolicy

MOST_PROBLEMS = 100
"""How many of the entities without effect are told."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entities of a list are wanted; each that is given must hold. Those that do not fit a kind are ignored."""

    source: Source | None = None
    tenant: str | None = None
    """Users and keys of this tenant; policies whose `match` names it."""
    user: str | None = None
    role: str | None = None
    revoked: bool | None = None
    tier: str | None = None
    qos_tier: str | None = None
    scope: str | None = None
    unit: str | None = None
    mode: str | None = None
    model: str | None = None
    """Policies whose `match` names it; keys that may use it."""


class Listing:
    """What there is."""

    def __init__(self, live: LiveCatalogue) -> None:
        self._live = live

    async def get(self, kind: Kind, name: str) -> Stored | None:
        """One entity, as it counts: the configuration's where both sources have one."""
        entity = self._live.config_by_name[kind].get(name)
        if entity is not None:
            return Stored(kind, entity, 0, "config")
        stored = await self._live.store.get(kind, name)
        return None if stored is None else (await self._told([stored]))[0]

    async def page(self, kind: Kind, *, after: str = "", limit: int = 50, filters: Filters = Filters()) -> Page:
        """Entities of both sources behind the name `after`, in order of their names. One more than `limit`, where both
        sources have the last name."""
        where = await self._where(kind, filters)
        own: list[Stored] = []
        if filters.source != "api":
            by_name = self._live.config_by_name[kind]
            own = [Stored(kind, by_name[name], 0, "config") for name in sorted(by_name) if name > after]
            own = [each for each in own if where is None or where(each.entity)]
        if filters.source == "config":
            items = own[:limit]
            return Page(tuple(items), items[-1].name if len(own) > limit else None)
        naming = _naming(kind, filters)
        page = await self._live.store.page(kind, after=after, limit=limit, where=where, naming=naming)
        reached = page.next_after
        own = [each for each in own if reached is None or each.name <= reached]
        items = list(merge(own, await self._told(page.items), key=lambda each: each.name))
        if len(items) > limit:
            # The two of one name stay together, since a page goes on behind a name.
            end = limit + (items[limit].name == items[limit - 1].name)
            return Page(tuple(items[:end]), items[end - 1].name if end < len(items) else reached)
        return Page(tuple(items), reached)

    async def counts(self) -> dict[Kind, dict[Source, int]]:
        """How many entities there are, by kind and source."""
        stored = await self._live.store.counts()
        return {k: {"config": len(self._live.config_by_name[k]), "api": stored[k]} for k in Kind}

    def problems(self) -> list[str]:
        """The API's tiers, models and policies that have no effect, a sentence each. (Keys and users tell theirs when
        they are looked at: there may be a million.)"""
        told = []
        for kind in MANAGED:
            for stored in self._live.api_part(kind).values():
                if problem := self._live.problem_of(stored):
                    told.append(f"{kind.singular} {stored.name!r}: {problem}")
                    if len(told) == MOST_PROBLEMS:
                        return told
        return told

    async def missing(self, entity: Entity) -> list[Reference]:
        """What an entity names that neither source has."""
        return await self._missing(references_of(entity))

    async def _missing(self, references: Any) -> list[Reference]:
        asked = [each for each in dict.fromkeys(references) if each[1] not in self._live.config_by_name[each[0]]]
        here = await self._live.store.existing(asked)
        return [each for each in asked if each not in here]

    async def _told(self, items: Any) -> list[Stored]:
        missing = set(await self._missing([each for stored in items for each in references_of(stored.entity)]))
        told = []
        for stored in items:
            problem = self._live.problem_of(stored)
            if not problem and not isinstance(stored.entity, RateLimitPolicy):
                gone = [each for each in references_of(stored.entity) if each in missing]
                problem = "; ".join(f"{kind.singular} {name!r} does not exist any more" for kind, name in gone)
            told.append(replace(stored, problem=problem))
        return told

    async def _where(self, kind: Kind, filters: Filters) -> Callable[[Entity], bool] | None:
        tests: list[Callable[[Any], bool]] = []
        for name in _PLAIN[kind]:
            if (wanted := getattr(filters, name)) is not None:
                tests.append(_has(name, wanted))
        if kind is Kind.KEYS:
            if filters.tenant is not None:
                users = await self._users_of(filters.tenant)
                tests.append(lambda key: key.user in users)
            if filters.model is not None:
                tests.append(lambda key: key.models is None or filters.model in key.models)
        if kind is Kind.POLICIES:
            for dimension in ("tenant", "model"):
                if (wanted := getattr(filters, dimension)) is not None:
                    tests.append(_matches(dimension, wanted))
        return (lambda entity: all(test(entity) for test in tests)) if tests else None

    async def _users_of(self, tenant: str) -> set[str]:
        own = {name_of(u) for u in self._live.config.users if u.tenant == tenant}
        there = await self._live.store.referrers((Kind.TENANTS, tenant))
        return own | {name for kind, name in there if kind is Kind.USERS}


_PLAIN: dict[Kind, tuple[str, ...]] = {
    Kind.TENANTS: ("qos_tier",),
    Kind.USERS: ("tenant",),
    Kind.KEYS: ("user", "role", "revoked"),
    Kind.TIERS: (),
    Kind.MODELS: ("tier",),
    Kind.POLICIES: ("scope", "unit", "mode"),
}
"""Filters that compare one field."""


def _has(field: str, wanted: object) -> Callable[[Any], bool]:
    return lambda entity: getattr(entity, field) == wanted


def _matches(dimension: str, wanted: str) -> Callable[[Any], bool]:
    return lambda policy: wanted in (getattr(policy.match, dimension) or ())


def _naming(kind: Kind, filters: Filters) -> Reference | None:
    """The index that narrows a list, where there is one."""
    if kind is Kind.KEYS and filters.user is not None:
        return (Kind.USERS, filters.user)
    if kind is Kind.USERS and filters.tenant is not None:
        return (Kind.TENANTS, filters.tenant)
    if kind is Kind.MODELS and filters.tier is not None:
        return (Kind.TIERS, filters.tier)
    return None


def fitting(kind: Kind) -> tuple[str, ...]:
    """The filters that mean something for a kind."""
    extra = {Kind.KEYS: ("tenant", "model"), Kind.POLICIES: ("tenant", "model")}
    known = {field.name for field in fields(Filters)}
    return tuple(name for name in ("source", *_PLAIN[kind], *extra.get(kind, ())) if name in known)
