"""What the ingress's routes share: the services they use and the catalogue as it is now."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers

from deployments.ingress.authentication import authenticate
from deployments.router.contract import Pools
from policies import Limiter
from policies.catalogue import Catalogue
from policies.errors import CatalogueError
from policies.http import Style
from policies.resolver import Identity, Resolver
from policies.settlement import Settlement

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IngressSettings:
    """See `serve_app.config.HttpSettings`."""

    demo: bool = False
    max_body_bytes: int = 1 << 20
    request_deadline_s: float = 600.0
    ratelimit_headers: Style = "both"


class IngressState:
    """One for each ingress replica."""

    def __init__(self, settings: IngressSettings, limiter: Limiter, pools: Pools) -> None:
        self.settings = settings
        self.limiter = limiter
        self.pools = pools
        self.settlement = Settlement(limiter)
        self.resolver = Resolver(Catalogue())
        self.has_catalogue = False

    def use(self, catalogue: Catalogue) -> None:
        """Judges by this catalogue from now on; requests under way end by the one they began with."""
        self.resolver = Resolver(catalogue)
        self.has_catalogue = True

    def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Takes the catalogue of a `user_config`. A wrong one never replaces one that is in use: Ray Serve ends a
        replica whose reconfiguration fails, and one mistake in a deploy would stop the whole service."""
        try:
            if "catalogue" not in user_config:
                raise CatalogueError(["user_config.catalogue: missing; it holds tenants, keys, models and policies"])
            self.use(Catalogue.parse(user_config["catalogue"], "user_config.catalogue"))
        except CatalogueError as error:
            if not self.has_catalogue:
                raise
            _log.error("the new catalogue is wrong, and the one before it stays in use:\n%s", error)

    def identify(self, headers: Headers) -> Identity:
        """Who sent these headers, or a 401."""
        return authenticate(headers.get("authorization"), self.resolver, demo=self.settings.demo)
