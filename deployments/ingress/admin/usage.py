"""`GET /admin/usage`: which windows hold something now, by tenant and policy, or for one API key."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from deployments.ingress.admin.cursors import after_name, cursor_of
from deployments.ingress.admin.lists import PageQuery
from deployments.ingress.admin.routing import reply
from deployments.ingress.authentication import look_up
from deployments.ingress.documentation import errors, success
from deployments.ingress.errors import HttpError, unavailable
from deployments.ingress.limits import windows_of
from deployments.ingress.state import IngressState
from deployments.ingress.windows import WindowNow
from policies import Charge, StoreError
from policies.entities import KEY_ID, Name
from policies.errors import NotFoundError
from policies.usage import CursorError, Usage, UsedWindow

_LISTED = "usage"


class UsageQuery(PageQuery):
    """Whose windows."""

    tenant: Annotated[Name | None, Field(description="Only of this tenant: its own, its users' and its keys'.")] = None
    policy: Annotated[Name | None, Field(description="Only of the policy of this name.")] = None
    api_key: Annotated[
        str | None,
        Field(
            pattern=KEY_ID,
            description="All windows that a request of the key with this id counts in, empty ones too. Stands alone.",
        ),
    ] = None


class UsageWindow(WindowNow):
    """One window, or one part of a split one."""

    shard: Annotated[int | None, Field(description="Which part of a window that its policy splits (`shards`).")]


class UsagePage(BaseModel):
    """Some windows, in no order; for an API key, by policy and subject."""

    items: tuple[UsageWindow, ...]
    next_cursor: str | None


_EXAMPLE: dict[str, Any] = {
    "items": [
        {
            "policy": "tenant-burst",
            "scope": "TENANT",
            "subject": "acme",
            "unit": "requests",
            "limit": 10,
            "window_s": 10.0,
            "used": 3,
            "remaining": 7,
            "reset_after_s": 4.2,
            "enforced": True,
            "shard": None,
        }
    ],
    "next_cursor": None,
}


def add_usage(router: APIRouter, state: IngressState) -> None:
    """The route of this module."""
    usage = Usage(state.limiter)

    async def get_usage(query: Annotated[UsageQuery, Query()]) -> Response:
        after = after_name(_LISTED, query.cursor)
        if query.api_key is not None and (query.tenant is not None or query.policy is not None):
            raise HttpError(
                422, "invalid_parameter", "api_key stands alone: leave tenant and policy out.", param="api_key"
            )
        try:
            if query.api_key is not None:
                found, following = await _of_key(state, query.api_key, after, query.limit)
            else:
                found, following = await usage.page(
                    state.resolver.policy,
                    tag=None if query.tenant is None else f"tenant:{query.tenant}",
                    policy=query.policy,
                    cursor=after or None,
                    limit=query.limit,
                )
        except CursorError as error:
            raise _wrong_cursor() from error
        except StoreError as error:
            raise unavailable("limits_unavailable", "Rate limits cannot be read now.") from error
        items = tuple(UsageWindow(**each.window._asdict(), shard=each.shard) for each in found)
        return reply(UsagePage(items=items, next_cursor=cursor_of(_LISTED, following)))

    router.add_api_route(
        "/usage",
        get_usage,
        methods=["GET"],
        operation_id="getUsage",
        summary="What is used now",
        description="Windows that something counts in, found by walking through Redis a bounded piece at a time: a "
        "page may be short, or empty, and yet have a `next_cursor`.",
        tags=["admin: limits"],
        responses={**errors(400, 404, 422), 200: success("A page.", UsagePage, _EXAMPLE)},
    )


async def _of_key(state: IngressState, key_id: str, after: str, limit: int) -> tuple[list[UsedWindow], str | None]:
    """What `GET /v1/limits` shows to that key, a page of it behind the first so many."""
    identity = await look_up(state.live, key_id)
    if identity is None:
        raise NotFoundError(f"key {key_id!r} does not exist")
    if after and not (after.isdecimal() and len(after) < 10):
        raise _wrong_cursor()
    begin = int(after or 0)
    charges = sorted(windows_of(state, identity), key=lambda charge: (charge.policy.name, charge.subject))
    parts = [part for charge in charges for part in _parts(charge)]
    page = parts[begin : begin + limit]
    windows = await state.limiter.peek_each(page)
    used = [UsedWindow(window, charge.shard) for window, charge in zip(windows, page, strict=True)]
    return used, str(begin + limit) if len(parts) > begin + limit else None


def _parts(charge: Charge) -> list[Charge]:
    """The parts of the window that a charge counts in; usually there is one."""
    policy = charge.policy
    if policy.shards == 1:
        return [charge]
    return [Charge(policy, charge.subject, charge.cost, charge.slot, part) for part in range(policy.shards)]


def _wrong_cursor() -> HttpError:
    message = "cursor must be the next_cursor of a page of the same list; leave it out to begin with the first page."
    return HttpError(400, "invalid_cursor", message, param="cursor")
