"""What /openapi.json says, without a server: for the page's typed client, and for whoever wants it as a file."""

from typing import Any, cast

from deployments.ingress.app import create_api
from deployments.ingress.state import IngressSettings, IngressState
from deployments.router.contract import Pools
from policies import Limiter
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from policies.connect import connect


def description() -> dict[str, Any]:
    """The OpenAPI description. Routes are made to be described and never called, so nothing is connected to."""
    nowhere = connect("redis://127.0.0.1:0")
    pools = cast("Pools", None)
    state = IngressState(IngressSettings(), Limiter(nowhere), pools, LiveCatalogue(CatalogueStore(nowhere)))
    return create_api(state).openapi()
