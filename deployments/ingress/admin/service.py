"""What the routes that read and write entities share: the catalogue's services, and writing under conditions."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import Request

from deployments.ingress.admin.preconditions import Conditions
from deployments.ingress.errors import HttpError
from deployments.ingress.state import IngressState
from policies.catalogue import Kind, Stored
from policies.errors import AlreadyExistsError, NotFoundError, StoreError, VersionConflictError

Written = TypeVar("Written")

SEEN_S = 1.0
"""How long a reply to a change waits for this replica to judge by it. Others do within a second as well."""

_ATTEMPTS = 20
"""How often a change under a condition that several versions fulfil is begun again when others were first."""


class Entities:
    """The catalogue's entities for the routes."""

    def __init__(self, state: IngressState) -> None:
        self.live = state.live
        self.listing, self.editor = state.listing, state.editor
        self._settings = state.settings

    def max_bytes(self, own: int) -> int:
        """The largest body: what the route says, and no more than what is set for all."""
        return min(own, self._settings.max_body_bytes)

    async def get(self, kind: Kind, name: str) -> Stored:
        """One entity, or the error that there is none."""
        stored = await self.listing.get(kind, name)
        if stored is None:
            raise NotFoundError(f"{kind.singular} {name!r} does not exist")
        return stored

    async def under_conditions(
        self, request: Request, kind: Kind, name: str, write: Callable[[int | None], Awaitable[Written]]
    ) -> Written:
        """Writes under the request's conditions, and waits until this replica judges by it. `write` gets the version
        that the entity must have, 0 where there must be none, None where the request sets no condition."""
        written = await self._written(Conditions.of(request.headers), kind, name, write)
        await self.seen()
        return written

    async def seen(self) -> None:
        """Waits until this replica judges by what was just written; not for long, and whatever becomes of Redis: it is
        written, and the reply may be the only one that ever holds a key."""
        with contextlib.suppress(TimeoutError, StoreError):
            head = await self.live.store.head()
            await self.live.seen(head.version, SEEN_S)

    async def _written(
        self, conditions: Conditions, kind: Kind, name: str, write: Callable[[int | None], Awaitable[Written]]
    ) -> Written:
        if conditions == Conditions():
            return await write(None)
        if conditions.exact_version is not None:
            return await write(conditions.exact_version)
        for attempt in range(_ATTEMPTS):
            current = await self.listing.get(kind, name)
            conditions.check(kind, name, current)
            try:
                return await write(_version(current))
            except (AlreadyExistsError, VersionConflictError):
                # Somebody else was first: whether the conditions still hold is another question now.
                if attempt + 1 == _ATTEMPTS or _version(await self.listing.get(kind, name)) == _version(current):
                    raise
                await asyncio.sleep(0)
        raise AssertionError("unreachable")


def same_name(kind: Kind, path: str, body: str | None) -> None:
    """409 where a body names another entity than the path does."""
    if body is not None and body != path:
        message = (
            f"The body is {kind.singular} {body!r}, and the path says {path!r}. Names do not change: "
            f"create {body!r} and delete {path!r}."
        )
        raise HttpError(409, "name_mismatch", message, param="name")


def _version(stored: Stored | None) -> int:
    return 0 if stored is None else stored.version
