"""An import as the server takes it: begun, sent in parts, planned, committed, watched until it is done.

Until it is committed nothing is changed; from then on the server completes it, whatever happens to this process.
Talking to the person is `serve_app.cli.applying`.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from policies.catalogue import Kind
from serve_app.cli.catalogue_file import CatalogueFile, Item
from serve_app.cli.client import PLAN_TIMEOUT_S, Client
from serve_app.cli.errors import CliError, TooLargeError

PART_BYTES = 512 << 10
"""How large the body of a part is at first; the server says where that is too large."""
SMALLEST_PART_BYTES = 1 << 10
POLL_S = 0.2

Progress = Callable[[int], None]
"""Told how many are done."""


class Import:
    """One import on the server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.id: str = client.send("POST", "/admin/imports", has=("id",)).data["id"]

    def upload(self, file: CatalogueFile, progress: Progress) -> None:
        """Sends all entities of the file, in parts that the server takes."""
        part_bytes = PART_BYTES
        number = sent = 0
        waiting: list[tuple[Kind, bytes]] = []
        size = 0
        for item in file.items():
            encoded = _encoded(item)
            if waiting and size + len(encoded) > part_bytes:
                number, part_bytes = self._send(waiting, number, part_bytes)
                sent += len(waiting)
                progress(sent)
                waiting, size = [], 0
            waiting.append((item.kind, encoded))
            size += len(encoded) + 1
        if waiting:
            self._send(waiting, number, part_bytes)
            progress(sent + len(waiting))

    def plan(self, *, prune: bool) -> dict[str, Any]:
        """What committing it would change, by the catalogue as it is now."""
        path = f"/admin/imports/{self.id}/plan"
        found: dict[str, Any] = self._client.send(
            "POST", path, params={"prune": prune}, timeout_s=PLAN_TIMEOUT_S, has=("version", "differences")
        ).data
        return found

    def commit(self, version: int) -> dict[str, Any]:
        """Begins to apply it; refused with `VersionConflictError` where the catalogue is not the plan's any more."""
        path = f"/admin/imports/{self.id}/commit"
        state: dict[str, Any] = self._client.send("POST", path, if_match=f'"{version}"', timeout_s=PLAN_TIMEOUT_S).data
        return state

    def states(self) -> Iterator[dict[str, Any]]:
        """How far it is, again and again until it is over."""
        while True:
            state = self._client.get(f"/admin/imports/{self.id}")
            yield state
            if state["state"] == "done":
                return
            time.sleep(POLL_S)

    def _send(self, entities: list[tuple[Kind, bytes]], number: int, part_bytes: int) -> tuple[int, int]:
        """Sends a part, or halves of it where it is too large. The number of the next part, and how large it may be."""
        try:
            self._client.send("PUT", f"/admin/imports/{self.id}/parts/{number}", body=_body(entities))
        except TooLargeError as error:
            if len(entities) == 1:
                raise CliError(
                    f"{error} That is one entity alone: raise args.http.max_body_bytes", error.code
                ) from error
            middle = len(entities) // 2
            smaller = max(part_bytes // 2, SMALLEST_PART_BYTES)
            number, smaller = self._send(entities[:middle], number, smaller)
            return self._send(entities[middle:], number, smaller)
        return number + 1, part_bytes


def _encoded(item: Item) -> bytes:
    return item.kind.entity.model_validate(item.data).model_dump_json(exclude_defaults=True).encode()


def _body(entities: list[tuple[Kind, bytes]]) -> bytes:
    lists: dict[str, list[orjson.Fragment]] = {}
    for kind, encoded in entities:
        lists.setdefault(kind.value, []).append(orjson.Fragment(encoded))
    return orjson.dumps(lists)
