"""`GET /page/settings`: what the page must know before anybody has given it a key."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from deployments.ingress.authentication import key_id, sha256_of, usable
from deployments.ingress.errors import HttpError
from deployments.ingress.state import IngressState
from deployments.ingress.version import VERSION


class DemoKey(BaseModel):
    """A key that everybody knows, and whose requests it makes."""

    id: Annotated[str, Field(examples=["demo-premium"])]
    key: Annotated[str, Field(description="The key itself.", examples=["sk-demo-premium"])]
    tenant: Annotated[str, Field(examples=["acme"])]
    user: Annotated[str, Field(examples=["paula"])]
    band: Annotated[str, Field(description="The QoS tier of its requests.", examples=["premium"])]
    role: Annotated[str, Field(examples=["inference"])]


class PageSettings(BaseModel):
    """How the page begins."""

    demo: Annotated[bool, Field(description="Whether demo keys are accepted. They are public, and listed then.")]
    version: Annotated[str, Field(description="Of Sluice.", examples=["0.1.0"])]
    keys: Annotated[list[DemoKey], Field(description="The demo keys that work now; none unless `demo`.")]
    bands: Annotated[list[str], Field(description="Of the queues, highest first.", examples=[["internal", "premium"]])]


def settings_router(state: IngressState) -> APIRouter:
    """The route of this module."""
    router = APIRouter(tags=["page"])

    @router.get("/page/settings", operation_id="getPageSettings", openapi_extra={"security": []})
    async def get_page_settings(response: Response) -> PageSettings:
        """What the page must know before anybody has given it a key. Needs none."""
        response.headers["cache-control"] = "no-store"
        demo = state.settings.demo
        keys = list(_demo_keys(state)) if demo else []
        return PageSettings(demo=demo, version=VERSION, keys=keys, bands=list(state.settings.bands))

    return router


def _demo_keys(state: IngressState) -> Iterator[DemoKey]:
    """The configuration's demo keys, but for those that expired or were revoked. By convention the key with the id
    `demo-x` reads `sk-demo-x`; of any other only the hash is known, so it is left out."""
    for key in state.live.config.keys:
        secret = f"sk-{key.id}"
        if not key.demo or key_id(secret) != key.id or sha256_of(secret) != key.sha256:
            continue
        try:
            who = usable(state.resolver.identity(key.id), demo=True)
        except HttpError:
            continue
        yield DemoKey(id=key.id, key=secret, tenant=who.tenant, user=who.user, band=who.qos_tier, role=key.role)
