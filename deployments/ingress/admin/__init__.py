"""The admin API: the catalogue over HTTP, for admins and operators. See docs/admin.md."""

from typing import Any

from fastapi import APIRouter

from deployments.ingress.admin.audit import add_audit
from deployments.ingress.admin.dry_run import DryRunRequest, add_dry_run
from deployments.ingress.admin.entities import add_plain
from deployments.ingress.admin.explain import add_explain
from deployments.ingress.admin.imports import add_imports
from deployments.ingress.admin.keys import add_keys
from deployments.ingress.admin.overview import add_overview
from deployments.ingress.admin.requests import REQUESTS
from deployments.ingress.admin.routing import admin_route
from deployments.ingress.admin.service import Entities
from deployments.ingress.admin.sla import add_sla
from deployments.ingress.admin.usage import add_usage
from deployments.ingress.documentation import request_schemas
from deployments.ingress.live.routes import add_admin_live
from deployments.ingress.state import IngressState

__all__ = ["admin_request_schemas", "admin_router"]


def admin_router(state: IngressState) -> APIRouter:
    """Every route under `/admin`."""
    router = APIRouter(prefix="/admin", route_class=admin_route(state))
    entities = Entities(state)
    add_plain(router, entities)
    add_keys(router, entities)
    add_overview(router, state)
    add_imports(router, state)
    add_audit(router, state)
    add_usage(router, state)
    add_dry_run(router, state)
    add_explain(router, state)
    add_sla(router, state)
    add_admin_live(router, state)
    return router


def admin_request_schemas() -> dict[str, Any]:
    """The schemas of the bodies that these routes read, for /openapi.json."""
    return request_schemas((*REQUESTS, DryRunRequest))
