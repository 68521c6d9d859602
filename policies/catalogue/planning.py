"""What an import would change: its entities compared with what there is, and the result checked as a whole.

Works through both in pieces, whatever their number; only names of models are held together.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from policies.catalogue import records
from policies.catalogue.editing import check, stays_revoked
from policies.catalogue.kinds import SECRET_FIELDS, Kind, Reference, names_taken, references_of
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import mapped
from policies.entities import Entity
from policies.errors import CatalogueChangeError

IN_ORDER = (Kind.TENANTS, Kind.USERS, Kind.TIERS, Kind.MODELS, Kind.KEYS, Kind.POLICIES)
"""What is named comes before what names it; deletions go the other way."""

MOST_TOLD = 200
"""How many differences, and how many problems, a plan spells out."""

_PIECE = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """One change of a plan. `before` and `after` are fields, without hashes of keys; a rotated key says so."""

    kind: Kind
    name: str
    action: Literal["create", "update", "delete"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What committing an import would do."""

    version: int
    """Of the catalogue that it was made for."""
    create: int
    update: int
    delete: int
    unchanged: int
    differences: tuple[Difference, ...]
    """The first of them."""
    problems: tuple[str, ...]
    """Why it cannot be committed; the first of them."""

    @property
    def changes(self) -> int:
        return self.create + self.update + self.delete


@dataclass(slots=True)
class Planner:
    """Makes one plan. `staged`: the key of the hash that holds the import's entities of a kind."""

    live: LiveCatalogue
    staged: Callable[[Kind], str]
    prune: bool
    _counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("create", "update", "delete", "unchanged"), 0)
    )
    _differences: list[Difference] = field(default_factory=list)
    _problems: list[str] = field(default_factory=list)
    _taken: dict[str, str] = field(default_factory=dict)

    async def changes(self) -> AsyncIterator[list[list[bytes]]]:
        """The changes in the order in which they are to be made, in pieces, as the store writes them."""
        for kind in IN_ORDER:
            async for piece in self._scan(kind):
                if changes := await self._compared(kind, piece):
                    yield changes
        if self.prune:
            for kind in reversed(IN_ORDER):
                async for names in self._absent(kind):
                    yield [records.written("import", kind, name, None, None, ()) for name in names]
        else:
            await self._check_other_models()

    def plan(self, version: int) -> Plan:
        """The plan, once all changes were gone through."""
        return Plan(version, **self._counts, differences=tuple(self._differences), problems=tuple(self._problems))

    async def _scan(self, kind: Kind) -> AsyncIterator[dict[str, Entity]]:
        redis, key, lower = self.live.store.redis, self.staged(kind), "-"
        while True:
            async with mapped():
                found = await redis.zrangebylex(f"{key}:names", lower, "+", start=0, num=_PIECE)
                if not found:
                    return
                staged = await redis.hmget(key, found)
            lower = f"({found[-1].decode()}"
            yield {
                name.decode(): kind.entity.model_validate_json(json) for name, json in zip(found, staged, strict=True)
            }

    async def _compared(self, kind: Kind, piece: dict[str, Entity]) -> list[list[bytes]]:
        store, own = self.live.store, self.live.config_by_name[kind]
        async with mapped():
            kept = await store.redis.hmget(store.base + kind, list(piece)) if piece else []
        missing = await self._missing([each for entity in piece.values() for each in references_of(entity)])
        changes = []
        for (name, entity), record in zip(piece.items(), kept, strict=True):
            before = None if record is None else records.read(kind, record).entity
            if name in own:  # the configuration may have taken over what the API wrote before
                self._configured(kind, name, entity in (own[name], before))
                continue
            self._check(kind, name, entity, before, missing)
            if entity == before:
                self._counts["unchanged"] += 1
                continue
            self._note(kind, name, "create" if before is None else "update", before, entity)
            changes.append(records.written("import", kind, name, None, entity, ()))
        return changes

    def _configured(self, kind: Kind, name: str, same: bool) -> None:
        if same:
            self._counts["unchanged"] += 1
        else:
            self._problem(
                f"{kind.singular} {name!r} comes from the configuration file: change it there, or leave it out"
            )

    def _check(self, kind: Kind, name: str, entity: Entity, before: Entity | None, missing: set[Reference]) -> None:
        try:
            check(self.live.config, entity)
            if before is not None:
                stays_revoked(before, entity)
        except CatalogueChangeError as error:
            self._problem(str(error))
        for of, whom in references_of(entity):
            if (of, whom) in missing:
                self._problem(f"{kind.singular} {name!r} names {of.singular} {whom!r}, which does not exist")
        for each in names_taken(entity):
            if self._taken.setdefault(each, name) != name:
                self._problem(f"models {self._taken[each]!r} and {name!r} both have the name {each!r}")

    async def _check_other_models(self) -> None:
        """Models that the import leaves as they are have their names too."""
        async with mapped():
            kept = await self.live.store.redis.hgetall(self.live.store.base + Kind.MODELS)
        changed = await self._staged(Kind.MODELS, [name.decode() for name in kept])
        for name, record in ((n.decode(), r) for n, r in kept.items()):
            if name not in changed:
                for each in names_taken(records.read(Kind.MODELS, record).entity):
                    if self._taken.get(each, name) != name:
                        self._problem(f"models {name!r} and {self._taken[each]!r} both have the name {each!r}")

    async def _missing(self, references: list[Reference]) -> set[Reference]:
        asked = [each for each in dict.fromkeys(references) if each[1] not in self.live.config_by_name[each[0]]]
        here = set() if self.prune else await self.live.store.existing(asked)
        left = [each for each in asked if each not in here]
        for kind in {kind for kind, _ in left}:
            staged = await self._staged(kind, [name for of, name in left if of is kind])
            left = [each for each in left if each[0] is not kind or each[1] not in staged]
        return set(left)

    async def _staged(self, kind: Kind, names: list[str]) -> set[str]:
        if not names:
            return set()
        async with mapped():
            found = await self.live.store.redis.hmget(self.staged(kind), names)
        return {name for name, json in zip(names, found, strict=True) if json is not None}

    async def _absent(self, kind: Kind) -> AsyncIterator[list[str]]:
        """Names of what the API wrote and the import does not have."""
        after: str | None = ""
        while after is not None:
            page = await self.live.store.page(kind, after=after, limit=_PIECE)
            staged = await self._staged(kind, [each.name for each in page.items])
            gone = [each for each in page.items if each.name not in staged]
            for each in gone:
                self._note(kind, each.name, "delete", each.entity, None)
            if gone:
                yield [each.name for each in gone]
            after = page.next_after

    def _note(
        self, kind: Kind, name: str, action: Literal["create", "update", "delete"], before: Entity | None, after: Any
    ) -> None:
        self._counts[action] += 1
        if len(self._differences) < MOST_TOLD:
            told_before, told_after = _told(before), _told(after)
            if told_before is not None and told_before == told_after:  # only the hashes differ
                told_before, told_after = {"sha256": "before"}, {"sha256": "another"}
            self._differences.append(Difference(kind, name, action, told_before, told_after))

    def _problem(self, sentence: str) -> None:
        if len(self._problems) < MOST_TOLD:
            self._problems.append(sentence)


def _told(entity: Entity | None) -> dict[str, Any] | None:
    if entity is None:
        return None
    return entity.model_dump(mode="json", exclude=set(SECRET_FIELDS), exclude_defaults=True)
