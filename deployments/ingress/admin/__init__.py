"""The admin API: the catalogue over HTTP, for admins and operators. See docs/admin.md."""

from typing import Any

from fastapi import APIRouter

from deployments.ingress.admin.audit import add_audit
from deployments.ingress.admin.documentation import request_schemas
from deployments.ingress.admin.entities import add_plain
from deployments.ingress.admin.imports import add_imports
from deployments.ingress.admin.keys import add_keys
from deployments.ingress.admin.overview import add_overview
from deployments.ingress.admin.requests import REQUESTS
from deployments.ingress.admin.routing import admin_route
from deployments.ingress.admin.service import Entities
from deployments.ingress.state import IngressState
from policies.catalogue.imports import Imports

__all__ = ["admin_request_schemas", "admin_router"]


def admin_router(state: IngressState) -> APIRouter:
    """Every route under `/admin`."""
    router = APIRouter(prefix="/admin", route_class=admin_route(state))
    entities, imports = Entities(state), Imports(state.live)
    add_plain(router, entities)
    add_keys(router, entities)
    add_overview(router, entities, imports)
    add_imports(router, state, imports)
    add_audit(router, state)
    return router


def admin_request_schemas() -> dict[str, Any]:
    """The schemas of the bodies that these routes read, for /openapi.json."""
    return request_schemas(REQUESTS)
