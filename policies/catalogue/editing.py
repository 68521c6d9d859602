"""Changing the catalogue: what the configuration and the rules of keys have to say, and then the store."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import choice
from string import ascii_letters, digits
from typing import Any

from policies.catalogue.kinds import Actor, Kind, Stored, name_of, names_taken, references_of
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.whole import Catalogue
from policies.entities import QOS_TIERS, ApiKey, Entity, RateLimitPolicy, Tenant
from policies.errors import (
    AlreadyExistsError,
    ManagedByConfigError,
    NotFoundError,
    RefusedChangeError,
    UnknownReferenceError,
    VersionConflictError,
)

ID_CHARACTERS, SECRET_CHARACTERS = 16, 40
"""Of generated keys, from letters and digits: 95 and 238 bits."""

_ATTEMPTS = 10
"""How often a change of a key that somebody else changes at the same time is begun again."""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key that was just made. The only place where it stands whole."""

    secret: str
    """The whole key, `sk-<id>-<secret>`."""
    stored: Stored


def new_key(key_id: str | None = None) -> tuple[str, str, str]:
    """A new key: its id, the whole key, and the SHA-256 that is kept of it."""
    key_id = key_id or _random(ID_CHARACTERS)
    whole = f"sk-{key_id}-{_random(SECRET_CHARACTERS)}"
    return key_id, whole, hashlib.sha256(whole.encode()).hexdigest()


class Editor:
    """Writes for the admin API. Raises `CatalogueChangeError` for what is refused."""

    def __init__(self, live: LiveCatalogue) -> None:
        self._live, self._store = live, live.store

    async def put(self, entity: Entity, actor: Actor, *, expected: int | None = None, action: str = "") -> Stored:
        """Creates an entity or replaces the one of its name. `expected`: the version it must have now, 0 where there
        must be none."""
        kind = next(kind for kind in Kind if kind.entity is type(entity))
        name = name_of(entity)
        self._not_configured(kind, name)
        check(self._live.config, entity)
        if not action or expected is None:
            before = await self._store.get(kind, name)
            action = action or ("create" if before is None else "update")
            if expected is None and isinstance(entity, ApiKey) and before is not None:
                expected = before.version  # so that the look at its revocation holds
            if before is not None:
                stays_revoked(before.entity, entity)
        here = [each for each in references_of(entity) if each[1] not in self._live.config_by_name[each[0]]]
        return await self._store.put(entity, actor, action, expected=expected, here=here)

    async def delete(self, kind: Kind, name: str, actor: Actor, *, expected: int | None = None) -> None:
        """Deletes an entity that nothing names."""
        if name in self._live.config_by_name[kind] and await self._store.get(kind, name) is None:
            self._not_configured(kind, name)
        await self._store.delete(kind, name, actor, expected=expected)

    async def issue_key(self, actor: Actor, *, key_id: str | None = None, **fields: Any) -> IssuedKey:
        """A new key; `fields` are those of `ApiKey`."""
        key_id, secret, sha256 = new_key(key_id)
        key = ApiKey(id=key_id, sha256=sha256, **fields)
        return IssuedKey(secret, await self.put(key, actor, expected=0, action="issue"))

    async def rotate_key(
        self, key_id: str, actor: Actor, *, overlap_ms: int = 0, expected: int | None = None
    ) -> IssuedKey:
        """A new secret for a key: its id, and with it its windows, stays. The old secret works for the overlap."""
        _, secret, sha256 = new_key(key_id)

        def rotated(key: ApiKey) -> ApiKey:
            if key.revoked:
                raise RefusedChangeError(f"key {key_id!r} is revoked: issue another")
            until = datetime.now(UTC) + timedelta(milliseconds=overlap_ms) if overlap_ms else None
            previous = key.sha256 if overlap_ms else None
            return key.model_copy(update={"sha256": sha256, "previous_sha256": previous, "previous_until": until})

        return IssuedKey(secret, await self._change_key(key_id, actor, "rotate", rotated, expected))

    async def revoke_key(self, key_id: str, actor: Actor, *, expected: int | None = None) -> Stored:
        """Ends a key for good; again changes nothing."""
        return await self._change_key(
            key_id, actor, "revoke", lambda key: key.model_copy(update={"revoked": True}), expected
        )

    async def _change_key(self, key_id: str, actor: Actor, action: str, change: Any, expected: int | None) -> Stored:
        self._not_configured(Kind.KEYS, key_id)
        for attempt in range(_ATTEMPTS):
            stored = await self._store.get(Kind.KEYS, key_id)
            if stored is None:
                raise NotFoundError(f"key {key_id!r} does not exist")
            at_version(stored, expected)
            changed = change(stored.entity)
            if changed == stored.entity:
                return stored
            try:
                return await self.put(changed, actor, expected=stored.version, action=action)
            except VersionConflictError:
                if expected is not None or attempt + 1 == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _not_configured(self, kind: Kind, name: str) -> None:
        if name in self._live.config_by_name[kind]:
            raise ManagedByConfigError(
                f"{kind.singular} {name!r} comes from the configuration file: change it there and deploy the file"
            )


def check(config: Catalogue, entity: Entity) -> None:
    """Raises `CatalogueChangeError` for what an entity may not say beside the configuration."""
    if isinstance(entity, ApiKey) and entity.demo:
        raise RefusedChangeError(f"key {entity.id!r}: demo keys stand only in the configuration file")
    tiers: tuple[str, ...] = (entity.qos_tier,) if isinstance(entity, Tenant) else ()
    if isinstance(entity, RateLimitPolicy):
        tiers = entity.match.qos_tier or ()
    for tier in tiers:
        if tier not in QOS_TIERS:
            raise UnknownReferenceError(f"qos_tier {tier!r} does not exist; there are {', '.join(QOS_TIERS)}")
    taken = {name: model.name for model in config.models for name in names_taken(model)}
    for name in names_taken(entity):
        if name in taken:
            raise AlreadyExistsError(f"the name {name!r} is one of model {taken[name]!r} of the configuration file")


def at_version(stored: Stored, expected: int | None) -> None:
    """Raises `VersionConflictError` where it is not at the version that is expected. For changes that are worked out
    from what was read: another write may fulfil the expectation before they are written, and be undone by them."""
    if expected not in (None, stored.version):
        raise VersionConflictError(
            f"{stored.kind.singular} {stored.name!r} is at version {stored.version}, not {expected}: read it again and "
            "repeat the change",
            stored.version,
        )


def stays_revoked(before: Entity, after: Entity) -> None:
    """Raises `RefusedChangeError` where a change would take a revocation back."""
    if isinstance(before, ApiKey) and isinstance(after, ApiKey) and before.revoked and not after.revoked:
        raise RefusedChangeError(f"key {before.id!r} is revoked, and stays so: issue another")


def _random(length: int) -> str:
    alphabet = ascii_letters + digits
    return "".join(choice(alphabet) for _ in range(length))
