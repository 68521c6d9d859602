"""What one process sees: both sources together, changes as they are made, keys as they are used."""

import asyncio
import time
import traceback
from typing import Any

import pytest

from policies.catalogue import Catalogue, Kind
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import TIMEOUT_S, CatalogueStore
from policies.connect import connect
from policies.entities import ApiKey, Model, ModelTier, RateLimitPolicy, Tenant, UserAccount
from policies.errors import StoreError, StoreTimeoutError
from policies.resolver import Identity
from tests.policies.catalogue.conftest import OPS, store_on
from tests.policies.redis_server import RedisServer
from tests.policies.tcp_proxy import TcpProxy

SEEN_S = 5
"""How long a test waits for a change to be seen; that it takes less than a second is measured elsewhere."""

CONFIG = Catalogue.parse(
    {
        "tenants": [{"name": "platform", "qos_tier": "internal"}],
        "users": [{"name": "ada", "tenant": "platform"}],
        "keys": [{"id": "ada1", "user": "ada", "sha256": "a" * 64}],
        "tiers": [{"name": "small"}],
        "models": [{"name": "m", "tier": "small", "aliases": ["default"]}],
        "policies": [{"name": "all", "scope": "GLOBAL", "limit": 100, "window": "1m"}],
    }
)


def policy(name: str, limit: int = 5, **fields: Any) -> RateLimitPolicy:
    return RateLimitPolicy(name=name, scope="TENANT", limit=limit, window="1m", **fields)


async def put(store: CatalogueStore, *entities: Any) -> int:
    version = 0
    for entity in entities:
        version = (await store.put(entity, OPS, "update", expected=None, here=())).version
    return version


def limits(live: LiveCatalogue, key_id: str, model: str = "m") -> dict[str, int]:
    known, identity = live.recall(key_id)
    assert known
    assert identity is not None
    found = live.resolver.model(model)
    assert found is not None
    return {applied.policy.name: applied.policy.limit for applied in live.resolver.plan(identity, found)}


async def test_policies_and_models_of_both_sources_count(live: LiveCatalogue, store: CatalogueStore) -> None:
    live.use_config(CONFIG)
    assert limits(live, "ada1") == {"all": 100}
    version = await put(store, policy("b"), policy("a"), ModelTier(name="dear"), Model(name="big", tier="dear"))
    await live.seen(version, SEEN_S)
    assert limits(live, "ada1") == {"all": 100, "a": 5, "b": 5}
    assert list(limits(live, "ada1", "big")) == ["all", "a", "b"]
    assert [model.name for model in live.resolver.models] == ["m", "big"]
    await live.seen(await put(store, policy("a", 9)), SEEN_S)
    assert limits(live, "ada1") == {"all": 100, "a": 9, "b": 5}
    await store.delete(Kind.POLICIES, "b", OPS, expected=None)
    await store.delete(Kind.MODELS, "big", OPS, expected=None)
    await live.seen(version + 3, SEEN_S)
    assert limits(live, "ada1") == {"all": 100, "a": 9}
    assert live.resolver.model("big") is None


async def test_the_configuration_counts_where_both_have_a_name(live: LiveCatalogue, store: CatalogueStore) -> None:
    await live.seen(
        await put(
            store, policy("all", 7), ModelTier(name="small"), Model(name="x", tier="small", aliases=("default",))
        ),
        SEEN_S,
    )
    live.use_config(CONFIG)
    assert limits(live, "ada1") == {"all": 100}
    assert live.resolver.model("default") == CONFIG.models[0]
    assert live.resolver.model("x") is None
    problems = {
        s.name: live.problem_of(s) for kind in (Kind.POLICIES, Kind.MODELS) for s in live.api_part(kind).values()
    }
    assert "configuration has a policy of this name" in problems["all"]
    assert "a model called 'default'" in problems["x"]
    await live.seen(await put(store, policy("all", 8)), SEEN_S)  # changed while it has no effect
    assert limits(live, "ada1") == {"all": 100}
    live.use_config(CONFIG.model_copy(update={"policies": (), "models": ()}))
    assert live.resolver.model("default") is not None
    assert limits(live, "ada1", "x") == {"all": 8}


async def test_a_model_without_its_tier_has_no_effect_until_it_is_back(
    live: LiveCatalogue, store: CatalogueStore
) -> None:
    live.use_config(CONFIG)
    await live.seen(await put(store, Model(name="x", tier="small")), SEEN_S)
    assert live.resolver.model("x") is not None
    live.use_config(Catalogue())
    assert live.resolver.model("x") is None
    await live.seen(await put(store, ModelTier(name="small")), SEEN_S)
    assert live.resolver.model("x") is not None


async def test_keys_are_looked_up_once_and_dropped_when_they_change(
    live: LiveCatalogue, store: CatalogueStore, redis_server: RedisServer
) -> None:
    acme, paula = Tenant(name="acme"), UserAccount(name="paula", tenant="acme")
    key = ApiKey(id="k1", user="paula", sha256="b" * 64)
    await live.seen(await put(store, acme, paula, key), SEEN_S)
    assert live.recall("k1") == (False, None)
    asked = await asyncio.gather(*(live.identity("k1") for _ in range(50)))
    assert set(map(id, asked)) == {id(asked[0])}
    assert asked[0] == Identity("acme", "paula", key, "standard")
    assert live.recall("k1") == (True, asked[0])
    with redis_server.sync() as redis:
        calls = redis.info("commandstats")["cmdstat_evalsha"]["calls"]
        for _ in range(5):
            assert await live.identity("k1") is asked[0]
        assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == calls
    for changed, expected in (
        (acme.model_copy(update={"qos_tier": "premium"}), Identity("acme", "paula", key, "premium")),
        (UserAccount(name="paula", tenant="globex"), None),  # no such tenant
        (Tenant(name="globex"), Identity("globex", "paula", key, "standard")),
        (key.model_copy(update={"revoked": True}), "revoked"),
    ):
        await live.seen(await put(store, changed), SEEN_S)
        identity = await live.identity("k1")
        if expected == "revoked":
            assert identity is not None
            assert identity.key.revoked
        else:
            assert identity == expected
    await store.delete(Kind.KEYS, "k1", OPS, expected=None)
    await live.seen((await store.head()).version, SEEN_S)
    assert await live.identity("k1") is None


async def test_unknown_keys_are_asked_for_once_until_they_exist(
    live: LiveCatalogue, store: CatalogueStore, redis_server: RedisServer
) -> None:
    with redis_server.sync() as redis:
        assert await live.identity("nobody") is None
        calls = redis.info("commandstats").get("cmdstat_eval", {}).get("calls", 0)
        assert await live.identity("nobody") is None
        assert live.recall("nobody") == (True, None)
        assert redis.info("commandstats").get("cmdstat_eval", {}).get("calls", 0) == calls
    live.use_config(CONFIG)
    await live.identity("nobody")
    await live.seen(await put(store, ApiKey(id="nobody", user="ada", sha256="b" * 64)), SEEN_S)
    identity = await live.identity("nobody")
    assert identity is not None
    assert (identity.user, identity.tenant, identity.qos_tier) == ("ada", "platform", "internal")


async def test_any_number_of_keys_is_looked_up_at_once(live: LiveCatalogue) -> None:
    # The driver has 100 connections, and refuses whoever wants another.
    found = await asyncio.gather(*(live.identity(f"unknown{n}") for n in range(500)))
    assert found == [None] * 500


async def test_a_look_up_does_not_wait_for_ever(live: LiveCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.catalogue.live.LOOK_UP_WAIT_S", 0.01)
    monkeypatch.setattr(live, "_look_ups", asyncio.Semaphore(0))
    with pytest.raises(StoreTimeoutError):
        await live.identity("mine")


async def test_an_answer_older_than_a_change_is_not_remembered(live: LiveCatalogue, store: CatalogueStore) -> None:
    live.use_config(CONFIG)
    key = ApiKey(id="k1", user="ada", sha256="b" * 64)
    await live.seen(await put(store, key), SEEN_S)
    identify = store.identify

    async def late(key_id: str) -> Any:
        held = await identify(key_id)
        await live.seen(await put(store, key.model_copy(update={"revoked": True})), SEEN_S)
        return held

    store.identify = late  # type: ignore[method-assign]
    await live.identity("k1")
    store.identify = identify  # type: ignore[method-assign]
    assert live.recall("k1") == (False, None)
    identity = await live.identity("k1")
    assert identity is not None
    assert identity.key.revoked


async def test_one_that_starts_later_knows_everything(store: CatalogueStore, redis_server: RedisServer) -> None:
    await put(store, *(policy(f"p{n}") for n in range(700)))
    later = LiveCatalogue(store_on(redis_server))
    later.use_config(CONFIG)
    await later.start()
    assert len(limits(later, "ada1")) == 701
    await later.close()
    await later.store.close()


async def test_changes_missed_for_good_are_made_up_for(
    store: CatalogueStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log was trimmed past what this process had seen."""
    short = store_on(redis_server, audit_entries=10)
    live = LiveCatalogue(store)
    live.use_config(CONFIG)
    follow, held = store.follow, asyncio.Event()

    async def slow(version: int, most: int = 1000) -> Any:
        await held.wait()
        return await follow(version, most)

    monkeypatch.setattr(store, "follow", slow)
    await live.start()
    await put(short, policy("first"))
    version = await put(short, *(policy("last", n + 1) for n in range(500)))
    held.set()
    await live.seen(version, SEEN_S)
    assert limits(live, "ada1") == {"all": 100, "first": 5, "last": 500}
    await live.close()
    await short.close()


async def test_a_redis_that_lost_its_history_is_read_anew(live: LiveCatalogue, store: CatalogueStore) -> None:
    live.use_config(CONFIG)
    await live.seen(await put(store, policy("a"), policy("b")), SEEN_S)
    await store.redis.flushall()
    await put(store, policy("c"), policy("d"))  # the same version as before, and another history
    give_up = time.monotonic() + SEEN_S
    while set(limits(live, "ada1")) != {"all", "c", "d"}:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)


async def test_another_history_that_went_further_is_not_taken_for_the_own(
    live: LiveCatalogue, store: CatalogueStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica took over that had not got the last changes yet, and was written to before this process asked again.
    (On a Cluster its connection does not break then: the old primary sends it on.)"""
    live.use_config(CONFIG)
    await live.seen(await put(store, policy("a")), SEEN_S)
    replica = redis_server.dump()
    await live.seen(await put(store, policy("a", 6), policy("lost")), SEEN_S)
    follow, held = store.follow, asyncio.Event()

    async def late(version: int, most: int = 1000) -> Any:
        await held.wait()
        return await follow(version, most)

    monkeypatch.setattr(store, "follow", late)
    await asyncio.sleep(1)  # what it waited at has ended by now
    with redis_server.sync() as redis:
        redis.flushall()
        for name, value in replica.items():
            redis.restore(name, 0, value)
    await put(store, policy("b"), policy("c"), policy("d"))
    held.set()
    give_up = time.monotonic() + SEEN_S
    while limits(live, "ada1") != {"all": 100, "a": 5, "b": 5, "c": 5, "d": 5}:
        assert time.monotonic() < give_up, limits(live, "ada1")
        await asyncio.sleep(0.01)


async def test_what_a_newer_version_wrote_stops_nothing_else(
    live: LiveCatalogue, store: CatalogueStore, redis_server: RedisServer
) -> None:
    """While an application is upgraded, replicas of both versions follow the same changes."""
    live.use_config(CONFIG)
    await live.seen(await put(store, policy("a"), ApiKey(id="k1", user="ada", sha256="b" * 64)), SEEN_S)
    assert await live.identity("k1") is not None
    newer = b'{"name":"a","scope":"TENANT","limit":7,"window":"1m","secret":"sk-k1-verysecret"}'
    await store.write([[b"update", b"policies", b"a", b"", b"", b"", newer]], OPS)
    await store.delete(Kind.KEYS, "k1", OPS, expected=None)
    await live.seen(await put(store, policy("b")), SEEN_S)
    assert limits(live, "ada1") == {"all": 100, "a": 5, "b": 5}
    assert await live.identity("k1") is None
    with pytest.raises(StoreError, match="policy 'a' in Redis cannot be read here") as caught:
        await store.get(Kind.POLICIES, "a")
    assert "verysecret" not in "".join(traceback.format_exception(caught.value))
    await store.redis.hset(store.head_key, "token", "another")  # so that all is read anew
    await live.seen(await put(store, policy("c")), SEEN_S)
    assert limits(live, "ada1") == {"all": 100, "a": 5, "b": 5, "c": 5}
    later = LiveCatalogue(store_on(redis_server))
    await later.start(wait_s=0.5)
    assert not later.loaded  # it would judge without a policy that it does not know
    await put(store, policy("a", 6))
    await later.seen(1, SEEN_S)
    await later.close()
    await later.store.close()


async def test_a_connection_that_falls_silent_is_replaced(store: CatalogueStore, redis_server: RedisServer) -> None:
    """The network swallows what is sent, and nobody says so: the change arrives over another connection."""
    proxy = TcpProxy(redis_server.socket)
    far = CatalogueStore(connect(f"redis://127.0.0.1:{await proxy.start()}", timeout_s=TIMEOUT_S))
    live = LiveCatalogue(far)
    live.use_config(CONFIG)
    await live.start()
    before = proxy.accepted
    proxy.swallow = True
    version = await put(store, policy("a"))
    while proxy.accepted == before:
        await asyncio.sleep(0.01)
    proxy.swallow = False
    await live.seen(version, SEEN_S)
    assert limits(live, "ada1") == {"all": 100, "a": 5}
    await live.close()
    await far.close()
    await proxy.close()


async def test_what_is_known_stays_while_redis_is_away(store: CatalogueStore, redis_server: RedisServer) -> None:
    own = RedisServer(redis_server.binary, "--appendonly", "yes").start()
    far = store_on(own)
    live = LiveCatalogue(far)
    live.use_config(CONFIG)
    await live.start()
    await live.seen(await put(far, policy("a"), ApiKey(id="k1", user="ada", sha256="b" * 64)), SEEN_S)
    known = await live.identity("k1")
    own.kill()
    await asyncio.sleep(1)
    assert limits(live, "ada1") == {"all": 100, "a": 5}
    assert await live.identity("k1") is known
    with pytest.raises(StoreError):
        await live.identity("k2")
    own.start()
    await live.seen(await put(far, policy("a", 6)), SEEN_S)
    assert limits(live, "ada1") == {"all": 100, "a": 6}
    await live.close()
    await far.close()
    own.close()
