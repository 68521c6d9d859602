"""The catalogue as one process sees it now: the configuration and what the admin API wrote, together.

Models, tiers and policies are held whole, in a `Resolver`. Keys, users and tenants of the API are looked up when they
are first used. One task follows the stream of changes in Redis (a blocking read: a change arrives when it is made, and
a read that comes back empty looks whether anything was missed), so what a process knows is never older than a second
while Redis answers. While Redis does not, what is known stays in use.

Where the configuration and the API have an entity of the same name, the configuration's counts. An entity of the API
that names something the configuration no longer has is kept, and has no effect.
"""

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from policies.catalogue import records
from policies.catalogue.directory import Directory
from policies.catalogue.kinds import Kind, Stored, name_of, names_taken
from policies.catalogue.records import Change
from policies.catalogue.store import MANAGED, CatalogueStore, Head, Held
from policies.catalogue.whole import Catalogue
from policies.entities import Entity, Model, RateLimitPolicy, Tenant, UserAccount
from policies.errors import StoreError, StoreRefusedError, StoreTimeoutError
from policies.resolver import Identity, Resolver

_log = logging.getLogger(__name__)

_UNREADABLE = "what is known of it stays in use: %s"

AGAIN_S = 0.2
"""After how long a Redis that did not answer is asked again."""

CANCEL_AGAIN_S = 0.05

LOOK_UPS = 8
"""How many keys are looked up at the same time. Each takes a connection, and the driver keeps those for good: this is
by how many connections to Redis a flood of keys can make a replica grow. One look-up is a round trip."""

LOOK_UP_WAIT_S = 2.0
"""How long a look-up waits for its turn: a Redis that hangs must not make a queue without end."""

PARSED_AT_ONCE = 200
"""How many records are parsed before other work of the event loop has its turn."""


class LiveCatalogue:
    """One for each process. `use_config` at any time; `start` once, on the event loop that serves."""

    def __init__(self, store: CatalogueStore) -> None:
        self.store = store
        self.config = Catalogue()
        self.config_by_name: Mapping[Kind, Mapping[str, Entity]] = {kind: {} for kind in Kind}
        self.resolver = Resolver(self.config)
        self.version = 0
        """Of the part in Redis, as far as it is known here."""
        self.loaded = False
        """Whether the part in Redis was ever read. Until then nothing may be judged: a policy might be missing."""
        self.when_idle: Callable[[Head], Awaitable[None]] | None = None
        """Called now and then while nothing changes."""
        self._token = b""
        self._api: dict[Kind, dict[str, Stored]] = {kind: {} for kind in MANAGED}
        self._directory = Directory()
        self._looking_up: dict[str, asyncio.Task[Identity | None]] = {}
        self._look_ups = asyncio.Semaphore(LOOK_UPS)
        self._following: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()

    # What is in effect

    def use_config(self, config: Catalogue) -> None:
        """Judges by this configuration from now on, together with what the API wrote."""
        self.config = config
        self.config_by_name = {
            kind: {name_of(entity): entity for entity in getattr(config, kind.value)} for kind in Kind
        }
        resolver = Resolver(config)
        self._put_models(resolver)
        resolver.put_policies(self._policies(self._api[Kind.POLICIES].keys() - self._own(Kind.POLICIES).keys()))
        self.resolver = resolver
        self._directory.clear()

    def problem_of(self, stored: Stored) -> str:
        """Why one of the API's tiers, models or policies has no effect; empty where it has."""
        if stored.name in self._own(stored.kind):
            return f"the configuration has a {stored.kind.singular} of this name, which counts instead"
        if isinstance(stored.entity, Model):
            taken = {name for model in self.config.models for name in names_taken(model)}
            for name in names_taken(stored.entity):
                if name in taken:
                    return f"the configuration has a model called {name!r}, which counts instead"
            if stored.entity.tier not in self._own(Kind.TIERS) and stored.entity.tier not in self._api[Kind.TIERS]:
                return f"tier {stored.entity.tier!r} does not exist any more"
        return ""

    def api_part(self, kind: Kind) -> Mapping[str, Stored]:
        """What the API wrote of a kind that is held whole."""
        return self._api[kind]

    # Who is asking

    def recall(self, key_id: str) -> tuple[bool, Identity | None]:
        """Whether it is known here who has the key with this id, and who that is."""
        identity = self.resolver.identity(key_id)
        return (True, identity) if identity is not None else self._directory.recall(key_id)

    async def identity(self, key_id: str) -> Identity | None:
        """Who has the key with this id; None where nobody has. Raises `StoreError` where Redis must be asked and does
        not answer. Whoever asks for the same at once shares one look-up."""
        known, identity = self.recall(key_id)
        if known:
            return identity
        lookup = self._looking_up.get(key_id)
        if lookup is None:
            # An empty context: others wait for it too, and Ray Serve cancels what carries that of a client who left.
            lookup = asyncio.get_running_loop().create_task(self._look_up(key_id), context=contextvars.Context())
            self._looking_up[key_id] = lookup
            lookup.add_done_callback(lambda _: self._looking_up.pop(key_id, None))
        return await asyncio.shield(lookup)

    def whole(self, held: Held) -> Identity | None:
        """The identity that a key gives, with users and tenants of the configuration; None where one is missing."""
        if held.key is None:
            return None
        user = self._own(Kind.USERS).get(held.key.user) or held.user
        if not isinstance(user, UserAccount):
            return None
        tenant = self._own(Kind.TENANTS).get(user.tenant) or held.tenant
        if not isinstance(tenant, Tenant) or tenant.name != user.tenant:
            return None
        return Identity(tenant.name, user.name, held.key, tenant.qos_tier, tenant.weight)

    async def _look_up(self, key_id: str) -> Identity | None:
        try:
            async with asyncio.timeout(LOOK_UP_WAIT_S):
                await self._look_ups.acquire()
        except TimeoutError:
            raise StoreTimeoutError(f"{LOOK_UPS} keys were being looked up for {LOOK_UP_WAIT_S} s") from None
        try:
            generation = self._directory.generation
            identity = self.whole(await self.store.identify(key_id))
        finally:
            self._look_ups.release()
        self._directory.remember(key_id, identity, generation)
        return identity

    # Following

    async def start(self, wait_s: float = 5.0) -> None:
        """Begins to follow, and returns when the part in Redis was read, or after `wait_s`. Again does nothing."""
        if self._following is None:
            loop = asyncio.get_running_loop()
            self._following = loop.create_task(self._follow(), context=contextvars.Context())
        with contextlib.suppress(TimeoutError):
            await self.seen(0, wait_s)

    async def close(self) -> None:
        """Ends following. The store stays open: it is the caller's."""
        following, self._following = self._following, None
        while following is not None and not following.done():
            following.cancel()  # redis-py may swallow it while it connects, so it is said again
            await asyncio.wait([following], timeout=CANCEL_AGAIN_S)

    async def seen(self, version: int, wait_s: float) -> None:
        """Returns when this process judges by that version or a later one; `TimeoutError` after `wait_s`."""
        async with asyncio.timeout(wait_s), self._news:
            await self._news.wait_for(lambda: self.loaded and self.version >= version)

    async def _follow(self) -> None:
        silent = False
        while True:
            try:
                await self._load()
                silent = False
                while await self._took_news():
                    pass
            except StoreError as error:
                if silent:
                    await asyncio.sleep(AGAIN_S)
                else:  # tried again at once: a connection that fell silent has cost most of a second already
                    _log.warning("the catalogue in Redis cannot be followed, and what is known of it stays: %s", error)
                silent = True

    async def _took_news(self) -> bool:
        """Waits for changes and takes them; False where some were missed, and all must be read anew."""
        changes = await self.store.follow(self.version)
        if not changes:
            head = await self.store.head()
            if head.version > self.version:  # written just now, or trimmed away before it was read
                changes = await self.store.follow(self.version)
            if not changes:
                if self.when_idle is not None:
                    await self.when_idle(head)
                return (head.version, head.token) == (self.version, self._token)
        if (changes[0].version, changes[0].behind) != (self.version + 1, self._token):
            return False
        await self._take(changes)
        return True

    async def _take(self, changes: Sequence[Change]) -> None:
        touched: dict[Kind, dict[str, Change]] = {kind: {} for kind in Kind}
        for change in changes:
            touched[change.kind][change.name] = change
        self._directory.forget(touched[Kind.KEYS], touched[Kind.USERS], touched[Kind.TENANTS])
        for kind in MANAGED:
            for name, change in touched[kind].items():
                try:
                    stored = change.stored()
                except StoreRefusedError as error:
                    _log.error(_UNREADABLE, error)
                    continue
                if stored is None:
                    self._api[kind].pop(name, None)
                else:
                    self._api[kind][name] = stored
        if touched[Kind.TIERS] or touched[Kind.MODELS]:
            self._put_models(self.resolver)
        if names := touched[Kind.POLICIES].keys() - self._own(Kind.POLICIES).keys():
            self.resolver.put_policies(self._policies(names), names - self._api[Kind.POLICIES].keys())
        await self._announce(changes[-1].version, changes[-1].token)

    async def _load(self) -> None:
        head, kept = await self.store.load()
        api: dict[Kind, dict[str, Stored]] = {kind: {} for kind in MANAGED}
        parsed = 0
        for kind, by_name in kept.items():
            for name, record in by_name.items():
                try:
                    api[kind][name] = records.read(kind, record)
                except StoreRefusedError as error:
                    if not self.loaded:  # nothing is known of it, and nothing may be judged without it
                        raise
                    _log.error(_UNREADABLE, error)
                    if name in self._api[kind]:
                        api[kind][name] = self._api[kind][name]
                parsed += 1
                if parsed % PARSED_AT_ONCE == 0:
                    await asyncio.sleep(0)
        self._api = api
        self.use_config(self.config)
        await self._announce(head.version, head.token)

    async def _announce(self, version: int, token: bytes) -> None:
        async with self._news:
            self.version, self._token, self.loaded = version, token, True
            self._news.notify_all()

    def _put_models(self, resolver: Resolver) -> None:
        own = self._own(Kind.MODELS)
        effective = [s.entity for s in self._api[Kind.MODELS].values() if not self.problem_of(s)]
        names = {name_of(entity) for entity in effective}
        gone = [model.name for model in resolver.models if model.name not in own and model.name not in names]
        resolver.put_models([entity for entity in effective if isinstance(entity, Model)], gone)

    def _policies(self, names: Iterable[str]) -> list[RateLimitPolicy]:
        kept = self._api[Kind.POLICIES]
        found = [kept[name].entity for name in names if name in kept]
        return [entity for entity in found if isinstance(entity, RateLimitPolicy)]

    def _own(self, kind: Kind) -> Mapping[str, Entity]:
        return self.config_by_name[kind]
