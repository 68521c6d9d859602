"""`GET /admin/audit`: who changed what, when, from what to what."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from deployments.ingress.admin.cursors import before_number, cursor_of
from deployments.ingress.admin.lists import Absent, PageQuery
from deployments.ingress.admin.routing import reply
from deployments.ingress.documentation import errors, success
from deployments.ingress.state import IngressState
from policies.catalogue import AuditEntry, Kind
from policies.entities import KEY_ID, Name

_LISTED = "audit"


class AuditQuery(PageQuery):
    """Which changes."""

    kind: Annotated[Kind | Absent, Field(description="Only of entities of this kind.")] = None
    name: Annotated[Name | Absent, Field(description="Only of entities of this name; of keys, the id.")] = None
    actor: Annotated[
        Annotated[str, Field(pattern=KEY_ID)] | Absent,
        Field(description="Only those made with the API key of this id."),
    ] = None

    def where(self) -> Callable[[AuditEntry], bool] | None:
        """The filters as one question; None where all are wanted."""
        if self.kind is None and self.name is None and self.actor is None:
            return None
        return lambda entry: (
            self.kind in (None, entry.kind)
            and self.name in (None, entry.name)
            and self.actor in (None, entry.actor.api_key)
        )


class Who(BaseModel):
    """Who made a change."""

    api_key: Annotated[str, Field(description="The id of the key.", examples=["demo-admin"])]
    user: Annotated[str, Field(examples=["ada"])]
    tenant: Annotated[str, Field(examples=["platform"])]


class AuditView(BaseModel):
    """One change."""

    version: Annotated[int, Field(description="The catalogue's version after it; each change has its own.", ge=1)]
    at: Annotated[datetime, Field(description="By the Redis server's clock.")]
    actor: Who
    action: Annotated[str, Field(description="`create`, `update`, `delete`, `issue`, `rotate`, `revoke` or `import`.")]
    kind: Kind
    name: str
    before: Annotated[
        dict[str, Any] | None, Field(description="Its fields that had not their default; null: there was none.")
    ]
    after: Annotated[dict[str, Any] | None, Field(description="The same after the change; null: deleted.")]


class AuditPage(BaseModel):
    """Some changes, newest first."""

    items: tuple[AuditView, ...]
    next_cursor: Annotated[str | None, Field(description="Where to go on; null at the end.")] = None


_EXAMPLE = {
    "items": [
        {
            "version": 12,
            "at": "2026-01-01T12:00:00.123000Z",
            "actor": {"api_key": "demo-admin", "user": "ada", "tenant": "platform"},
            "action": "update",
            "kind": "policies",
            "name": "acme-burst",
            "before": {"name": "acme-burst", "scope": "TENANT", "limit": 10, "window": "10s"},
            "after": {"name": "acme-burst", "scope": "TENANT", "limit": 100, "window": "10s"},
        }
    ],
    "next_cursor": None,
}


def add_audit(router: APIRouter, state: IngressState) -> None:
    """The route of this module."""

    async def list_audit(query: Annotated[AuditQuery, Query()]) -> Response:
        before = before_number(_LISTED, query.cursor)
        entries, next_before = await state.live.store.audit(before=before, limit=query.limit, where=query.where())
        page = AuditPage(items=tuple(map(_view, entries)), next_cursor=cursor_of(_LISTED, next_before))
        return reply(page)

    router.add_api_route(
        "/audit",
        list_audit,
        methods=["GET"],
        operation_id="listAudit",
        summary="List changes, newest first",
        description="Every change made through this API. About the last 100,000 are kept.",
        tags=["admin: catalogue"],
        responses={**errors(400, 422), 200: success("A page.", AuditPage, _EXAMPLE)},
    )


def _view(entry: AuditEntry) -> AuditView:
    actor = Who(api_key=entry.actor.api_key, user=entry.actor.user, tenant=entry.actor.tenant)
    return AuditView(
        version=entry.version,
        at=entry.at,
        actor=actor,
        action=entry.action,
        kind=entry.kind,
        name=entry.name,
        before=None if entry.before is None else dict(entry.before),
        after=None if entry.after is None else dict(entry.after),
    )
