"""`GET /admin/live` and `GET /v1/limits/live`: the live feed as server-sent events. docs/live.md says what is in it."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers

from deployments.ingress.authentication import ALL_BUT_GATEWAYS, authenticate, presented_key, require_role
from deployments.ingress.documentation import REFERENCE, errors, request_schemas
from deployments.ingress.errors import HttpError, unavailable
from deployments.ingress.failed_authentications import UNLIMITED
from deployments.ingress.limits import windows_of
from deployments.ingress.live.frames import INTERVAL_MS, LiveEnd, LiveFrame, LiveHello
from deployments.ingress.live.hub import MOST_VIEWERS, Sight
from deployments.ingress.live.news import Scope
from deployments.ingress.live.subjects import charge_for
from deployments.ingress.live.viewer import EventStream, Viewer, event
from deployments.ingress.routes import may_use
from deployments.ingress.state import IngressState
from deployments.ingress.windows import WindowNow
from policies import Charge, StoreError
from policies.entities import Name, Role
from policies.resolver import Identity

CHECK_S = 3.0
"""How often it is looked whether a viewer's key is still valid."""

ADMIN_ROLES = (Role.ADMIN, Role.OPERATOR)


class LiveQuery(BaseModel):
    """The window whose log is followed."""

    model_config = ConfigDict(extra="forbid")

    policy: Annotated[Name | None, Field(description="Its policy. Leave both out to follow none.")] = None
    subject: Annotated[
        str | None, Field(max_length=1024, description="Whom it is kept for; empty for GLOBAL. Stands with policy.")
    ] = None

    def watching(self) -> tuple[str, str] | None:
        """The policy's name and the subject."""
        if self.policy is None:
            if self.subject is not None:
                raise HttpError(
                    422, "invalid_parameter", "subject stands with policy: name both, or neither.", param="subject"
                )
            return None
        return self.policy, self.subject or ""


def add_admin_live(router: APIRouter, state: IngressState) -> None:
    """The route for everybody's traffic. Its role is checked by the router's class."""

    async def stream_live(request: Request, query: Annotated[LiveQuery, Query()]) -> Response:
        identity = await state.identify(request.scope)
        watching, watched = query.watching(), None
        if watching is not None:
            watched = await charge_for(state, *watching)
        return await _stream(state, request, identity, Scope(None, "", watching), watched, ADMIN_ROLES)

    router.add_api_route(
        "/live",
        stream_live,
        methods=["GET"],
        operation_id="streamLive",
        summary="Watch everything as it happens",
        description=_DESCRIPTION,
        tags=["admin: live"],
        responses=_REPLIES,
    )


def live_router(state: IngressState) -> APIRouter:
    """The route for one's own tenant's share."""
    router = APIRouter(prefix="/v1/limits", tags=["limits"])

    async def stream_own(request: Request, query: Annotated[LiveQuery, Query()]) -> Response:
        identity = await state.identify(request.scope)
        require_role(identity, *ALL_BUT_GATEWAYS)
        watching, watched = query.watching(), None
        if watching is not None:
            mine = (each for each in windows_of(state, identity) if (each.policy.name, each.subject) == watching)
            watched = next(mine, None)
            if watched is None:
                raise HttpError(404, "not_found", "No request of this key counts in such a window: GET /v1/limits.")
        scope = Scope(identity.tenant, identity.api_key, watching)
        return await _stream(state, request, identity, scope, watched, ALL_BUT_GATEWAYS)

    router.add_api_route(
        "/live",
        stream_own,
        methods=["GET"],
        operation_id="streamOwnLive",
        summary="Watch your own tenant's share as it happens",
        description=_DESCRIPTION,
        responses=_REPLIES,
    )
    return router


def live_schemas() -> dict[str, Any]:
    """What the events hold, for /openapi.json."""
    return request_schemas((LiveHello, LiveFrame, LiveEnd))


_EVENTS: dict[str, type[BaseModel]] = {"hello": LiveHello, "frame": LiveFrame, "end": LiveEnd}
_DESCRIPTION = (
    f"Server-sent events: one `hello`, a `frame` every {INTERVAL_MS} ms in which something changed and at least once a "
    "second, and, where the server ends the stream, one `end`. It goes on until either side ends it. docs/live.md has "
    "the rest."
)


def _event(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """One event, as OpenAPI 3.2 describes them: its data is JSON."""
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"$ref": _reference(model)}}
    return {"type": "object", "properties": {"event": {"const": name}, "data": data}, "required": ["event", "data"]}


def _reference(model: type[BaseModel]) -> str:
    return REFERENCE.format(model=model.__name__)


_REPLIES: dict[int | str, dict[str, Any]] = {
    **errors(404, 422),
    200: {
        "description": "The stream. The data of each event is JSON: "
        + ", ".join(f"`{name}`: {model.__name__}" for name, model in _EVENTS.items())
        + ".",
        "content": {
            "text/event-stream": {"schema": {"oneOf": [_event(name, model) for name, model in _EVENTS.items()]}}
        },
    },
}


async def _stream(
    state: IngressState,
    request: Request,
    identity: Identity,
    scope: Scope,
    watched: Charge | None,
    roles: Sequence[Role],
) -> Response:
    feed = state.feed
    if watched is not None and watched.policy.shards > 1:
        raise HttpError(422, "invalid_parameter", "A window in parts has no single log to follow.", param="policy")
    if feed.closing or feed.hub.viewers >= MOST_VIEWERS:
        raise unavailable("too_many_viewers", "As many as may do so watch at this replica already.", 5.0)
    try:
        window = None if watched is None else (await state.limiter.peek_each([watched]))[0]
    except StoreError as error:
        raise unavailable("limits_unavailable", "Rate limits cannot be read now.") from error
    hello = LiveHello(
        at_ms=await feed.now_ms(),
        interval_ms=INTERVAL_MS,
        tenant=scope.tenant,
        bands=list(feed.hub.bands()),
        watching=None if window is None else WindowNow.of(window),
    )
    presented = presented_key(Headers(scope=request.scope).get("authorization"))
    checks: dict[Viewer, asyncio.Task[None]] = {}

    def join(viewer: Viewer) -> None:
        wished = [] if scope.tenant is None else windows_of(state, identity)
        feed.hub.join(viewer, scope, _sight(state, identity, scope), watched, wished)
        checks[viewer] = asyncio.create_task(_check(state, presented, identity, scope, roles, viewer))
        feed.watch()

    def leave(viewer: Viewer) -> None:
        checks.pop(viewer).cancel()
        feed.hub.leave(viewer, scope)

    return EventStream(event("hello", hello.model_dump()), join, leave)


def _sight(state: IngressState, identity: Identity, scope: Scope) -> Sight:
    """Of a tenant's viewers: the windows that `GET /v1/limits` shows to the key, and the pools of its models."""
    if scope.tenant is None:
        return Sight()
    windows = frozenset((each.policy.name, each.subject) for each in windows_of(state, identity))
    return Sight(windows, frozenset(m.pool_name for m in state.resolver.models if may_use(identity, m)))


async def _check(
    state: IngressState, presented: str, before: Identity, scope: Scope, roles: Sequence[Role], viewer: Viewer
) -> None:
    """Ends the stream when its key may not see it any more; follows what else changes of it."""
    while True:
        await asyncio.sleep(CHECK_S)
        try:
            identity = await authenticate(presented, state.live, UNLIMITED, demo=state.settings.demo)
            require_role(identity, *roles)
            if scope.tenant not in (None, identity.tenant):
                raise HttpError(403, "wrong_tenant", "The key's user belongs to another tenant now.")
            sight = _sight(state, identity, scope)
            if scope.watching is not None and sight.windows is not None and scope.watching not in sight.windows:
                raise HttpError(403, "wrong_window", "No request of this key counts in that window any more.")
        except HttpError as error:
            if error.status < 500:  # else it is not known now
                viewer.end("key")
                return
        else:
            state.feed.hub.see(scope, sight)
