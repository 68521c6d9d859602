"""What the ingress's routes share: the services they use and the catalogue as it is now."""

from dataclasses import dataclass

from starlette.datastructures import Headers

from deployments.ingress.authentication import authenticate
from deployments.router.contract import Pools
from policies import Limiter
from policies.catalogue import Catalogue
from policies.http import Style
from policies.resolver import Identity, Resolver
from policies.settlement import Settlement


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

    def identify(self, headers: Headers) -> Identity:
        """Who sent these headers, or a 401."""
        return authenticate(headers.get("authorization"), self.resolver, demo=self.settings.demo)
