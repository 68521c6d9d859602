"""What every route of the admin API does around its own work: who may, what went wrong, and that nothing is kept.

The check comes before the body is read, so that nobody without a right can make this process read or judge one.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel

from deployments.ingress.authentication import require_role
from deployments.ingress.errors import HttpError, redacted, unavailable
from deployments.ingress.http import ClientGoneError
from deployments.ingress.state import IngressState
from policies import StoreError
from policies.catalogue import Actor
from policies.entities import Role
from policies.errors import (
    AlreadyExistsError,
    CatalogueChangeError,
    CatalogueError,
    ImportRunningError,
    InUseError,
    ManagedByConfigError,
    NotFoundError,
    RefusedChangeError,
    UnknownReferenceError,
    VersionConflictError,
)
from policies.http import retry_headers

OPERATOR_MAY = frozenset(
    {
        *("listTenants", "getTenant", "listUsers", "getUser", "listKeys", "getKey", "listTiers", "getTier"),
        *("listCatalogueModels", "getModel", "listPolicies", "getPolicy"),
        *("getCatalogue", "listAudit", "getImport", "getUsage", "explainPolicies", "getSla", "streamLive"),
        "revokeKey",
    }
)
"""What a key with the role operator may do; everything else is for admins alone. The export is no mere reading: it
holds the hashes of keys."""

NO_STORE = {"cache-control": "no-store"}
"""On every reply: some hold a key, and all are out of date at the next change."""

AT_ONCE = 32
"""How many admin requests one replica works on at the same time; the others wait. Each may hold a connection to Redis,
and keys are looked up over the same ones."""

IMPORT_RETRY_S = 1
"""After how long a write that found a whole file being applied is tried again."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def admin_route(state: IngressState) -> type[APIRoute]:
    """The class of the admin API's routes in this ingress."""
    at_once = asyncio.Semaphore(AT_ONCE)

    class AdminRoute(APIRoute):
        """A route that asks who is there before it does anything else."""

        def get_route_handler(self) -> Handler:
            handle, roles = super().get_route_handler(), roles_of(self.operation_id or "")

            async def guarded(request: Request) -> Response:
                try:
                    identity = await state.identify(request.scope)
                    require_role(identity, *roles)
                    request.state.actor = Actor(identity.api_key, identity.user, identity.tenant)
                    async with at_once:
                        response = await handle(request)
                except (HttpError, RequestValidationError, CatalogueError, CatalogueChangeError, StoreError) as error:
                    raise refusal(error) from error
                except ClientGoneError:
                    return Response(status_code=400)  # nobody is there to read it
                response.headers.update(NO_STORE)
                return response

            return guarded

    return AdminRoute


def roles_of(operation_id: str) -> tuple[Role, ...]:
    """Who may do this."""
    return (Role.ADMIN, Role.OPERATOR) if operation_id in OPERATOR_MAY else (Role.ADMIN,)


def actor_of(request: Request) -> Actor:
    """Who makes this request, for the audit log."""
    actor: Actor = request.state.actor
    return actor


def reply(body: BaseModel, status: int = 200, **headers: str) -> Response:
    """A model as the reply. `headers`: by name, with `_` for `-`. The models are made here from what is valid already,
    so FastAPI does not have to validate them a second time."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body.model_dump_json(), status, named, "application/json")


_REFUSALS: dict[type[CatalogueChangeError], tuple[int, str]] = {
    NotFoundError: (404, "not_found"),
    AlreadyExistsError: (409, "already_exists"),
    InUseError: (409, "in_use"),
    UnknownReferenceError: (409, "unknown_reference"),
    ManagedByConfigError: (409, "managed_by_configuration"),
    ImportRunningError: (409, "import_running"),
    RefusedChangeError: (409, "refused"),
    VersionConflictError: (412, "version_conflict"),
}


def refusal(error: Exception) -> HttpError:
    """Whatever refused an admin request, as the client sees it."""
    if isinstance(error, HttpError):
        known = error
    elif isinstance(error, RequestValidationError):
        known = _invalid_parameter(error)
    elif isinstance(error, CatalogueChangeError):
        status, code = _REFUSALS[type(error)]
        known = HttpError(status, code, _sentence(str(error)))
        if isinstance(error, ImportRunningError):
            known.headers |= retry_headers(IMPORT_RETRY_S)
        if isinstance(error, VersionConflictError) and error.version:
            known.headers["etag"] = f'"{error.version}"'
    elif isinstance(error, CatalogueError):
        known = HttpError(422, "invalid_parameter", "\n".join(error.problems))
    else:
        known = unavailable("catalogue_unavailable", "The catalogue cannot be reached now; a change may have happened.")
    known.args = (redacted(str(known)),)
    known.headers |= NO_STORE
    return known


def _invalid_parameter(error: RequestValidationError) -> HttpError:
    first = error.errors()[0]
    where = redacted(str(first["loc"][1]))  # behind "path" or "query"; nothing there is nested
    if first["type"] == "extra_forbidden":
        return HttpError(422, "unknown_parameter", f"{where} is no parameter of this list: see /docs.", param=where)
    if first["type"] == "missing":
        return HttpError(422, "invalid_parameter", f"{where} is missing.", param=where)
    return HttpError(422, "invalid_parameter", f"{where} is wrong: {first['msg']}.", param=where)


def _sentence(message: str) -> str:
    return f"{message[:1].upper()}{message[1:]}{'' if message.endswith('.') else '.'}"
