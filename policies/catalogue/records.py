"""How entities are written in Redis, and read back. The layout is told in `policies/lua/catalogue_write.lua`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import ValidationError

from policies.catalogue.kinds import (
    SECRET_FIELDS,
    Actor,
    AuditEntry,
    Kind,
    Reference,
    Stored,
    names_taken,
    references_of,
)
from policies.entities import Entity
from policies.errors import StoreRefusedError


def dumped(entity: Entity) -> bytes:
    """An entity as JSON, without the fields that have their default."""
    return entity.model_dump_json(exclude_defaults=True).encode()


def read(kind: Kind, record: bytes) -> Stored:
    """A record as it is kept."""
    version, _, _, json = record.split(b"|", 3)
    return Stored(kind, _parsed(kind, json), int(version))


def _parsed(kind: Kind, json: bytes) -> Entity:
    try:
        return kind.entity.model_validate_json(json)
    except ValidationError:
        fields = orjson.loads(json)
        name = fields.get("id") or fields.get("name")
        # Without its cause, which repeats values: hashes of keys are among them.
        raise StoreRefusedError(
            f"{kind.singular} {name!r} in Redis cannot be read here: a newer version of this may have written it"
        ) from None


def written(
    action: str, kind: Kind, name: str, expected: int | None, entity: Entity | None, here: Iterable[Reference]
) -> list[bytes]:
    """One entity's arguments for the script. `here`: the references that must be found in Redis; None deletes."""
    references, taken, json = [], "", b""
    if entity is not None:
        must = set(here)
        references = [f"{'?' if each in must else ''}{each[0]}/{each[1]}" for each in references_of(entity)]
        taken, json = " ".join(names_taken(entity)), dumped(entity)
    wanted = b"" if expected is None else b"%d" % expected
    return [action.encode(), kind.encode(), name.encode(), wanted, " ".join(references).encode(), taken.encode(), json]


def actor_json(actor: Actor) -> bytes:
    return orjson.dumps({"api_key": actor.api_key, "user": actor.user, "tenant": actor.tenant})


class Change:
    """One entry of the stream of changes."""

    __slots__ = ("_fields", "kind", "name", "version")

    def __init__(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        self.version = int(entry_id.partition(b"-")[0])
        self.kind = Kind(fields[b"kind"].decode())
        self.name = fields[b"name"].decode()
        self._fields = fields

    @property
    def token(self) -> bytes:
        """Of the write that made it."""
        return self._fields[b"token"]

    @property
    def behind(self) -> bytes:
        """The token of the write before this change; its own where one write made both."""
        return self._fields[b"behind"]

    def stored(self) -> Stored | None:
        """The entity as it is after the change; None where it was deleted."""
        json = self._fields[b"after"]
        return Stored(self.kind, _parsed(self.kind, json), self.version) if json else None

    def audited(self) -> AuditEntry:
        """As the audit log shows it."""
        return AuditEntry(
            version=self.version,
            at=datetime.fromtimestamp(int(self._fields[b"at"]) / 1000, UTC),
            actor=Actor(**orjson.loads(self._fields[b"actor"])),
            action=self._fields[b"action"].decode(),
            kind=self.kind,
            name=self.name,
            before=_shown(self._fields[b"before"]),
            after=_shown(self._fields[b"after"]),
        )


def _shown(json: bytes) -> dict[str, Any] | None:
    if not json:
        return None
    fields: dict[str, Any] = orjson.loads(json)
    return {name: value for name, value in fields.items() if name not in SECRET_FIELDS}


def reference_in(text: bytes) -> Reference:
    """`users/ada` as a kind and a name."""
    kind, _, name = text.decode().partition("/")
    return Kind(kind), name
