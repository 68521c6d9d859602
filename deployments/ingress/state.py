"""What the ingress's routes share: the services they use and the catalogue as it is now."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from deployments.ingress.access_log import AccessLog
from deployments.ingress.authentication import authenticate, look_up, presented_key, usable
from deployments.ingress.client_address import ClientAddresses
from deployments.ingress.errors import unavailable
from deployments.ingress.failed_authentications import UNLIMITED, FailedAuthentications
from deployments.ingress.http import header_of
from deployments.ingress.live.feed import Feed
from deployments.ingress.prompt_counters import PromptCounters
from deployments.ingress.sla import SlaBook, SlaTarget
from deployments.ingress.sla_sharing import SlaSharing
from deployments.ingress.tally import Tally
from deployments.metrics.definitions import MOST_NAMES
from deployments.metrics.handover import Exporter, Handover
from deployments.router.contract import Pools
from deployments.tokenization.counting import Counting
from policies import Limiter
from policies.catalogue import Catalogue
from policies.catalogue.editing import Editor
from policies.catalogue.imports import Imports
from policies.catalogue.listing import Listing
from policies.catalogue.live import LiveCatalogue
from policies.entities import QOS_TIERS
from policies.errors import CatalogueError
from policies.http import Style
from policies.remembered import Remembered
from policies.resolver import Identity, Resolver
from policies.settlement import Settlement

if TYPE_CHECKING:  # OpenTelemetry comes in only where tracing is on
    from deployments.tracing.tracer import Tracer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IngressSettings:
    """See `serve_app.config.HttpSettings`."""

    demo: bool = False
    max_body_bytes: int = 1 << 20
    request_deadline_s: float = 600.0
    ratelimit_headers: Style = "both"
    sla: Mapping[str, SlaTarget] = field(default_factory=dict)
    """By QoS tier."""
    failed_authentications_per_minute: int = 30
    trusted_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    cors_origins: tuple[str, ...] = ()
    most_metric_names: int = MOST_NAMES
    """How many policies, and how many models, metrics tell apart."""
    bands: tuple[str, ...] = QOS_TIERS
    """Highest first."""


class IngressState:
    """One for each ingress replica."""

    def __init__(
        self,
        settings: IngressSettings,
        limiter: Limiter,
        pools: Pools,
        live: LiveCatalogue,
        countings: Mapping[str, Counting] = MappingProxyType({}),
        exporter: Exporter | None = None,
        access_log: AccessLog | None = None,
        tracer: "Tracer | None" = None,
    ) -> None:
        """`countings`: how prompts are counted, by pool. `exporter`: where metrics go; None: nowhere.
        `access_log`: where requests are told one by one; `tracer`: traces those that are
        traced; both closed with this."""
        self.settings = settings
        self.counters = PromptCounters(countings)
        self.limiter = limiter
        self.pools = pools
        self.live = live
        self.listing, self.editor, self.imports = Listing(live), Editor(live), Imports(live)
        self.settlement = Settlement(limiter)
        self.sla = SlaBook(time.monotonic)
        self.sla_sharing = SlaSharing(self.sla, live.store)
        self.tally = Tally(limiter, settings.most_metric_names)
        self._handover = None if exporter is None else Handover(self.tally.readings, exporter)
        self.access_log, self.tracer = access_log, tracer
        self.remembered = Remembered(limiter, self.settlement)
        self.feed = Feed(limiter, pools, lambda: live.resolver)
        self._addresses = ClientAddresses(settings.trusted_proxies)
        self._failed = FailedAuthentications(settings.failed_authentications_per_minute)
        self.has_catalogue = False

    @property
    def resolver(self) -> Resolver:
        """The models and policies as they are now; requests under way end by what they began with."""
        return self.live.resolver

    def use(self, config: Catalogue) -> None:
        """Judges by this configuration from now on, together with what the admin API wrote."""
        self.live.use_config(config)
        self.has_catalogue = True

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
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
        await self.live.start()
        self.counters.start()
        self.sla_sharing.start()
        self.feed.start()
        self.pools.start()
        if self._handover is not None:
            self._handover.start()
        if self.access_log is not None:
            self.access_log.start()

    async def close(self) -> None:
        """Ends what goes on in the background: what is under way is done first. For a process that serves no more."""
        await self.feed.close()  # first: streams would keep what serves them
        await self.imports.close()
        await self.counters.close()
        await self.sla_sharing.close()
        await self.pools.close()
        await self.live.close()
        await self.live.store.close()
        await self.settlement.close()
        await self.limiter.close()
        if self._handover is not None:
            await self._handover.close()  # what ended meanwhile is counted too
        if self.access_log is not None:
            await self.access_log.close()
        if self.tracer is not None:  # last: where its receiver is away, this takes some ten seconds
            await asyncio.to_thread(self.tracer.close)

    async def identify(self, scope: Scope) -> Identity:
        """Who makes this request, or a 401. A key that was used before costs no question to Redis."""
        self._require_catalogue()
        presented = presented_key(header_of(scope, b"authorization"))
        attempts = self._failed.of(self._addresses.of(scope))
        return await authenticate(presented, self.live, attempts, demo=self.settings.demo)

    async def identify_forwarded(self, key: str) -> Identity:
        """Who sent this key to somebody that we trust, or a 401."""
        self._require_catalogue()
        return await authenticate(key, self.live, UNLIMITED, demo=self.settings.demo)

    async def identify_named(self, key_id: str) -> Identity:
        """Who has the key with this id, if it may be used, or a 401."""
        self._require_catalogue()
        return usable(await look_up(self.live, key_id), demo=self.settings.demo)

    def _require_catalogue(self) -> None:
        if not self.live.loaded:
            raise unavailable("catalogue_unavailable", "The catalogue has not been read from Redis yet.")
