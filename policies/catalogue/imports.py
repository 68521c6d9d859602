"""Whole files applied to the catalogue: all or nothing, however large.

The entities are staged in Redis part by part, where nobody sees them; a plan compares them with what there is, checks
the result as a whole, and writes down every single change. Committing sets one mark, if the catalogue is still at the
plan's version. From then on the changes are made in small pieces, each once (a piece and the count of pieces are
written together), so Redis never stops for long; a process that dies is followed by another that goes on. It is a redo
log: before the mark nothing has happened, after it everything will. Nobody else writes meanwhile.
"""

import asyncio
import contextvars
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Literal, cast

import orjson

from policies.catalogue import records
from policies.catalogue.kinds import Actor, Kind, name_of
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.planning import Plan, Planner
from policies.catalogue.store import Head, mapped
from policies.catalogue.whole import Lists
from policies.errors import (
    CatalogueError,
    ImportRunningError,
    NotFoundError,
    RefusedChangeError,
    StoreError,
    StoreRefusedError,
    VersionConflictError,
)
from policies.scripts import CATALOGUE_IMPORT, CATALOGUE_PLAN, CATALOGUE_STAGE

KEPT_S = 3600
"""How long an import that is not committed is kept, and how long it is told of one that is done."""

AT_ONCE = 200
"""How many changes are made in one call: a few milliseconds of the server's time."""

LONGEST_PLAN_S = 600
"""A plan that takes longer is given up."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImportState:
    """How far an import is."""

    id: str
    state: Literal["staging", "planned", "committing", "done"]
    done: int
    """Changes made."""
    total: int
    """Changes planned."""


class Imports:
    """One for each process. Finishes what another process has begun and left."""

    def __init__(self, live: LiveCatalogue) -> None:
        self._live, self._store = live, live.store
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._closed = False
        live.when_idle = self._take_over

    async def begin(self) -> str:
        """The id of a new import, empty so far."""
        import_id = token_hex(8)
        key = self._key(import_id)
        async with mapped(), self._store.redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(key, mapping={"state": "staging", "edition": 0, "done": 0, "total": 0})
            pipeline.expire(key, KEPT_S)
            await pipeline.execute()
        return import_id

    async def add(self, import_id: str, part: int, data: Mapping[str, Any]) -> int:
        """Stages entities; `data` has lists of them by kind. A part that is sent again replaces itself. Returns how
        many it holds. Raises `CatalogueError` where entities are wrong or stand in two parts."""
        lists = Lists.parse(data, f"part {part}")
        entities: list[bytes] = []
        for kind in Kind:
            names = [name_of(each) for each in getattr(lists, kind.value)]
            if len(set(names)) < len(names):
                raise _twice(kind, Counter(names).most_common(1)[0][0])
            for each in getattr(lists, kind.value):
                entities += [kind.encode(), name_of(each).encode(), records.dumped(each)]
        keys = [self._key(import_id), self._key(import_id, "parts")]
        match await self._store.run(CATALOGUE_STAGE, keys, [part, KEPT_S, *entities]):
            case [b"missing"]:
                raise _unknown(import_id)
            case [b"state", state]:
                raise _begun(import_id, state)
            case [b"twice", of, name]:
                raise _twice(Kind(of.decode()), name.decode())
        return len(entities) // 3

    async def plan(self, import_id: str, *, prune: bool = False) -> Plan:
        """What committing would change; nothing where it has problems. `prune`: what the API wrote before and is not in
        the import is deleted. A plan may be made again."""
        edition = await self._edition(import_id)
        changes = self._key(import_id, f"changes:{token_hex(4)}")
        async with asyncio.timeout(LONGEST_PLAN_S):
            head = await self._store.head()
            planner = Planner(self._live, lambda kind: self._key(import_id, kind), prune=prune)
            async for piece in planner.changes():
                async with mapped(), self._store.redis.pipeline(transaction=True) as pipeline:
                    pipeline.rpush(changes, *[orjson.dumps([p.decode() for p in each]) for each in piece])
                    pipeline.expire(changes, KEPT_S)
                    await pipeline.execute()
            plan = planner.plan(head.version)
        args = [edition, "staging" if plan.problems else "planned", plan.version, plan.changes, KEPT_S]
        match await self._store.run(CATALOGUE_PLAN, [self._key(import_id), changes], args):
            case [b"missing"]:
                raise _unknown(import_id)
            case [b"state", state]:
                raise _begun(import_id, state)
            case [b"changed"]:
                raise RefusedChangeError(f"import {import_id!r} has got another part meanwhile: plan it again")
        return plan

    async def commit(self, import_id: str, version: int, actor: Actor) -> ImportState:
        """Applies a plan that was made for this version of the catalogue; it goes on behind the answer."""
        keys = [self._store.head_key, self._key(import_id)]
        reply = await self._store.run(CATALOGUE_IMPORT, keys, [import_id, version, records.actor_json(actor)])
        match reply:
            case [b"ok"]:
                await self._unless_done(import_id)
            case [b"import", _]:
                raise ImportRunningError("another file is being applied: try again when that is done")
            case [b"version", now, planned]:
                raise VersionConflictError(
                    f"the catalogue is at version {now.decode()}, and the plan is for {planned.decode()}: plan again",
                    int(now),
                )
            case [b"state", b"staging"]:
                raise RefusedChangeError(f"import {import_id!r} has no plan without problems yet: plan it first")
            case [b"missing"]:
                raise _unknown(import_id)
        return await self.state(import_id)

    async def state(self, import_id: str) -> ImportState:
        """How far an import is."""
        async with mapped():
            state, done, total = await self._store.redis.hmget(self._key(import_id), ["state", "done", "total"])
        if state is None:
            raise _unknown(import_id)
        return ImportState(import_id, cast(Any, state.decode()), int(done), int(total))

    async def running(self) -> ImportState | None:
        """The import that is being applied now."""
        importing = (await self._store.head()).importing
        return None if importing is None else await self.state(importing)

    async def close(self) -> None:
        """Leaves what is under way to another process."""
        self._closed = True
        if self._runs:
            await asyncio.wait(self._runs.values())

    async def _unless_done(self, import_id: str) -> None:
        if import_id not in self._runs:
            # An empty context: it outlives the request that began it.
            run = asyncio.get_running_loop().create_task(self._run(import_id), context=contextvars.Context())
            self._runs[import_id] = run
            run.add_done_callback(lambda _: self._runs.pop(import_id, None))

    async def _run(self, import_id: str) -> None:
        """Makes the changes that are left. Another process may do the same: each piece is made by one."""
        while not self._closed:
            try:
                if await self._made_a_piece(import_id):
                    continue
                return
            except ImportRunningError:
                continue  # somebody else has made that piece
            except StoreError as error:
                _log.warning("import %s waits for Redis: %s", import_id, error)
                await asyncio.sleep(1)

    async def _made_a_piece(self, import_id: str) -> bool:
        async with mapped():
            fields = await self._store.redis.hmget(self._key(import_id), ["state", "done", "total", "actor", "changes"])
        state, done, total, changes_key = fields[0], int(fields[1] or 0), int(fields[2] or 0), fields[4]
        if state is None:  # longer ago than it is kept: nobody can finish it any more
            async with mapped():
                await self._store.redis.hdel(self._store.head_key, "import", "import_until")
        if state == b"done":
            await self._clean(import_id, changes_key)
        if state != b"committing":
            return False
        async with mapped():
            piece = await self._store.redis.lrange(changes_key, done, done + AT_ONCE - 1)
        changes = [[part.encode() for part in orjson.loads(each)] for each in piece]
        after = done + len(changes)
        last = after >= total
        if not changes and not last:
            raise StoreRefusedError("its changes are gone from Redis")
        args = (import_id.encode(), b"%d" % done, b"%d" % after, b"1" if last else b"0")
        await self._store.write(changes, Actor(**orjson.loads(fields[3])), *args)
        return True

    async def _clean(self, import_id: str, changes_key: bytes | None) -> None:
        async with mapped():  # no pipeline: the driver's for a Cluster knows no UNLINK
            await self._store.redis.unlink(*([changes_key] if changes_key else []), *self._staged_keys(import_id))
            await self._store.redis.expire(self._key(import_id), KEPT_S)

    async def _take_over(self, head: Head) -> None:
        """Goes on with an import whose process has not been heard of for a while."""
        if head.importing is None or head.importing in self._runs:
            return
        async with mapped():
            seconds, microseconds = await self._store.redis.time()
        if seconds * 1000 + microseconds // 1000 > head.import_until_ms:
            _log.warning("import %s was left by the process that began it, and goes on here", head.importing)
            await self._unless_done(head.importing)

    async def _edition(self, import_id: str) -> int:
        """Which parts have been staged so far, where it may still be planned."""
        async with mapped():
            state, edition = await self._store.redis.hmget(self._key(import_id), ["state", "edition"])
        if state is None:
            raise _unknown(import_id)
        if state not in (b"staging", b"planned"):
            raise _begun(import_id, state)
        return int(edition)

    def _staged_keys(self, import_id: str) -> list[str]:
        own = [self._key(import_id, kind) + end for kind in Kind for end in ("", ":names")]
        return [*own, self._key(import_id, "parts")]

    def _key(self, import_id: str, part: str = "") -> str:
        return f"{self._store.base}import:{import_id}{':' if part else ''}{part}"


def _unknown(import_id: str) -> NotFoundError:
    return NotFoundError(f"import {import_id!r} does not exist; one is kept for {KEPT_S // 60} minutes")


def _begun(import_id: str, state: bytes) -> RefusedChangeError:
    return RefusedChangeError(f"import {import_id!r} is {state.decode()}: begin another")


def _twice(kind: Kind, name: str) -> CatalogueError:
    return CatalogueError([f"{kind}: the name {name!r} is used twice; each must be unique"])
