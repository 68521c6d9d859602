"""The part of the catalogue that the admin API writes, in Redis: records, references, and the stream of all changes.

What may be written beside what the configuration says is `policies.catalogue.live`'s business; here a write is refused
for what Redis itself holds: a version that has moved on, a name that is taken, a reference that leads nowhere.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any, NoReturn, cast

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError

from policies.catalogue import records
from policies.catalogue.kinds import Actor, AuditEntry, Kind, Page, Reference, Stored, name_of
from policies.entities import ApiKey, Entity, Tenant, UserAccount
from policies.errors import (
    AlreadyExistsError,
    ImportRunningError,
    InUseError,
    NotFoundError,
    StoreRefusedError,
    StoreUnavailableError,
    UnknownReferenceError,
    VersionConflictError,
)
from policies.scripts import CATALOGUE_IDENTIFY, CATALOGUE_WRITE, Script

AUDIT_ENTRIES = 100_000
"""About how many changes are kept where nothing else is said."""

TIMEOUT_S = 0.8
"""How long one command may take. With `FOLLOW_S` below a second, so that a change is seen within one although the
connection that would have brought it has gone silent."""

FOLLOW_S = 0.4
"""How long the stream of changes is waited at before it is asked whether all is as it was."""

MOST_LOOKED_AT = 5_000
"""How many names one page looks at: a list with a filter that little fits has short pages instead of slow ones."""

_CHUNK = 1_000

MANAGED = (Kind.TIERS, Kind.MODELS, Kind.POLICIES)
"""Kinds that every process holds whole; the others are looked up."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the catalogue stands."""

    version: int
    token: bytes
    """Of the last write: tells two versions of the same number apart, should Redis lose the end of its history."""
    importing: str | None = None
    import_until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A key with its user and tenant as far as they are in Redis."""

    key: ApiKey | None
    user: UserAccount | None
    tenant: Tenant | None


class CatalogueStore:
    """The catalogue of one `prefix` in Redis. `redis`: a client whose commands have a timeout and are not resent
    (`connect(url, timeout_s=TIMEOUT_S)`). Every method raises `StoreError` where Redis does not do what was asked; a
    write may have happened then."""

    def __init__(
        self, redis: Redis | RedisCluster, *, prefix: str = "sluice", audit_entries: int = AUDIT_ENTRIES
    ) -> None:
        self.redis: Any = redis
        self.prefix = prefix
        self.base = f"{prefix}:{{catalogue}}:"
        self.head_key, self.changes_key = self.base + "head", self.base + "changes"
        self._audit_entries = audit_entries

    async def close(self) -> None:
        """Closes the connections."""
        await self.redis.aclose()

    # Reading

    async def head(self) -> Head:
        """Where the catalogue stands; version 0 where nothing was ever written."""
        async with mapped():
            return _head(await self.redis.hmget(self.head_key, _HEAD_FIELDS))

    async def get(self, kind: Kind, name: str) -> Stored | None:
        """One entity."""
        async with mapped():
            record = await self.redis.hget(self.base + kind, name)
        return None if record is None else records.read(kind, record)

    async def existing(self, references: Iterable[Reference]) -> set[Reference]:
        """Those that are here."""
        asked = list(dict.fromkeys(references))
        if not asked:
            return set()
        async with mapped(), self.redis.pipeline(transaction=False) as pipeline:
            for kind, name in asked:
                pipeline.hexists(self.base + kind, name)
            return {each for each, there in zip(asked, await pipeline.execute(), strict=True) if there}

    async def referrers(self, reference: Reference, most: int = -1) -> list[Reference]:
        """Who names an entity, in order."""
        async with mapped():
            found = await self.redis.zrange(
                f"{self.base}by:{reference[0]}/{reference[1]}", 0, most - 1 if most > 0 else -1
            )
        return [records.reference_in(each) for each in found]

    async def page(
        self,
        kind: Kind,
        *,
        after: str = "",
        limit: int = 50,
        where: Callable[[Entity], bool] | None = None,
        naming: Reference | None = None,
    ) -> Page:
        """Entities behind the name `after`, in order. `where`: only those it is true of. `naming`: only those that name
        this other entity (found by index). Looks at `MOST_LOOKED_AT` names at most, so a page may be short."""
        index = f"{self.base}by:{naming[0]}/{naming[1]}" if naming else f"{self.base}{kind}:names"
        before = f"{kind}/" if naming else ""
        upper = f"({kind}0" if naming else "+"  # "0" comes right behind "/"
        items: list[Stored] = []
        looked_at = 0
        while looked_at < MOST_LOOKED_AT:
            chunk = min(_CHUNK, MOST_LOOKED_AT - looked_at) if where else limit - len(items) + 1
            lower = f"({before}{after}" if after else f"[{before}"
            async with mapped():
                found = await self.redis.zrangebylex(index, lower, upper, start=0, num=chunk)
                names = [each.decode().removeprefix(before) for each in found]
                kept = await self.redis.hmget(self.base + kind, names) if names else []
            for name, record in zip(names, kept, strict=True):
                if len(items) == limit:
                    return Page(tuple(items), after)
                after, looked_at = name, looked_at + 1
                if record is not None:  # deleted between the two commands
                    stored = records.read(kind, record)
                    if where is None or where(stored.entity):
                        items.append(stored)
            if len(names) < chunk:
                return Page(tuple(items), None)
        return Page(tuple(items), after)

    async def counts(self) -> dict[Kind, int]:
        """How many there are of each kind."""
        async with mapped(), self.redis.pipeline(transaction=False) as pipeline:
            for kind in Kind:
                pipeline.hlen(self.base + kind)
            return dict(zip(Kind, await pipeline.execute(), strict=True))

    async def identify(self, key_id: str) -> Held:
        """Who holds a key, in one round trip."""
        key, user, tenant = await self.run(CATALOGUE_IDENTIFY, [self.head_key], [self.base, key_id])
        return Held(
            cast(ApiKey, records.read(Kind.KEYS, key).entity) if key else None,
            cast(UserAccount, records.read(Kind.USERS, user).entity) if user else None,
            cast(Tenant, records.read(Kind.TENANTS, tenant).entity) if tenant else None,
        )

    async def load(self) -> tuple[Head, dict[Kind, dict[str, bytes]]]:
        """Every record of the kinds that processes hold whole, as of one moment."""
        async with mapped(), self.redis.pipeline(transaction=True) as pipeline:
            pipeline.hmget(self.head_key, _HEAD_FIELDS)
            for kind in MANAGED:
                pipeline.hgetall(self.base + kind)
            head, *kept = await pipeline.execute()
        return _head(head), {
            kind: {name.decode(): record for name, record in each.items()}
            for kind, each in zip(MANAGED, kept, strict=True)
        }

    async def follow(self, version: int, most: int = _CHUNK) -> list[records.Change]:
        """The changes after `version`, as soon as there are any; none after `FOLLOW_S`."""
        async with mapped():
            reply = await self.redis.xread({self.changes_key: f"{version}-0"}, count=most, block=int(FOLLOW_S * 1000))
        # A list of pairs in the protocol's second version, a mapping in its third.
        streams = next(iter(reply.values()), []) if isinstance(reply, Mapping) else [each[1] for each in reply]
        entries = [entry for batch in streams for entry in batch]
        return [records.Change(*entry) for entry in entries]

    async def audit(
        self,
        *,
        before: int | None = None,
        limit: int = 50,
        where: Callable[[AuditEntry], bool] | None = None,
    ) -> tuple[list[AuditEntry], int | None]:
        """Changes before a version, newest first, and where to go on (None: there is no more)."""
        found: list[AuditEntry] = []
        looked_at = 0
        while looked_at < MOST_LOOKED_AT:
            upper = "+" if before is None else f"({before}-0"
            async with mapped():
                entries = await self.redis.xrevrange(self.changes_key, upper, "-", count=_CHUNK if where else limit + 1)
            if not entries:
                return found, None
            for entry in entries:
                if len(found) == limit:
                    return found, before
                audited = records.Change(*entry).audited()
                before, looked_at = audited.version, looked_at + 1
                if where is None or where(audited):
                    found.append(audited)
        return found, before

    # Writing

    async def put(
        self, entity: Entity, actor: Actor, action: str, *, expected: int | None, here: Iterable[Reference]
    ) -> Stored:
        """Writes one entity. `expected`: the version it must have, 0 where there must be none; None for any. `here`:
        which of its references must be in Redis."""
        kind = _kind_of(entity)
        version = await self.write([records.written(action, kind, name_of(entity), expected, entity, here)], actor)
        return Stored(kind, entity, version)

    async def delete(self, kind: Kind, name: str, actor: Actor, *, expected: int | None) -> None:
        """Deletes one entity."""
        await self.write([records.written("delete", kind, name, expected, None, ())], actor)

    async def write(self, entities: Sequence[list[bytes]], actor: Actor, *import_args: bytes) -> int:
        """Writes what `records.written` made, all or nothing; the version after it. See `lua/catalogue_write.lua`."""
        args = [self.base, token_urlsafe(9), records.actor_json(actor), self._audit_entries]
        args += import_args or (b"", b"", b"", b"")
        flat = [part for each in entities for part in each]
        reply = await self.run(CATALOGUE_WRITE, [self.head_key, self.changes_key], args + flat)
        if reply[0] != b"ok":
            _refuse(reply, entities)
        return int(reply[1])

    async def run(self, script: Script, keys: list[str], args: list[Any]) -> list[Any]:
        """One script call."""
        async with mapped():
            try:
                return cast(list[Any], await self.redis.evalsha(script.sha, len(keys), *keys, *args))
            except NoScriptError:
                return cast(list[Any], await self.redis.eval(script.source, len(keys), *keys, *args))


_HEAD_FIELDS = ["version", "token", "import", "import_until"]


def _head(fields: Sequence[bytes | None]) -> Head:
    version, token, importing, until = fields
    return Head(int(version or 0), token or b"", importing.decode() if importing else None, int(until or 0))


def _kind_of(entity: Entity) -> Kind:
    return next(kind for kind in Kind if kind.entity is type(entity))


def _refuse(reply: list[Any], entities: Sequence[list[bytes]]) -> NoReturn:
    reason, *details = reply
    if reason in (b"import", b"gone", b"done"):
        raise ImportRunningError("a whole file is being applied to the catalogue: try again when that is done")
    _, kind_name, name_bytes, expected, *_ = entities[details[0]]
    name = name_bytes.decode()
    what = f"{Kind(kind_name.decode()).singular} {name!r}"
    texts = [each.decode() if isinstance(each, bytes) else str(each) for each in details[1:]]
    match reason:
        case b"version" if expected == b"0":
            raise AlreadyExistsError(f"{what} exists already: choose another name, or change that one")
        case b"version" if texts[0] == "0":
            raise VersionConflictError(f"{what} has been deleted since version {expected.decode()} was read", 0)
        case b"version":
            message = f"{what} is at version {texts[0]}, not {expected.decode()}: read it again and repeat the change"
            raise VersionConflictError(message, int(texts[0]))
        case b"missing":
            raise NotFoundError(f"{what} does not exist")
        case b"in_use":
            shown = ", ".join(_told(each) for each in texts[:3]) + (" and others" if len(texts) > 3 else "")
            raise InUseError(f"{what} is named by {shown}: change or delete those first")
        case b"unknown":
            raise UnknownReferenceError(f"{what} names {_told(texts[0])}, which does not exist: create that first")
        case b"taken":
            raise AlreadyExistsError(f"{what}: the name {texts[0]!r} is one of model {texts[1]!r} already")
    raise StoreRefusedError(f"the catalogue's script said {reason!r}")


def _told(reference: str) -> str:
    kind, name = records.reference_in(reference.encode())
    return f"{kind.singular} {name!r}"


@asynccontextmanager
async def mapped() -> AsyncIterator[None]:
    """Errors of the driver as ours."""
    try:
        yield
    except ResponseError as error:
        raise StoreRefusedError(f"Redis refused: {error}") from error
    except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
        raise StoreUnavailableError(f"Redis does not answer: {error}") from error
