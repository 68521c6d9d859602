"""The catalogue on a Redis Cluster of three nodes: the same as on one Redis, since all of its keys are in one slot."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.crc import key_slot

from policies.catalogue import Kind
from policies.catalogue.imports import Imports
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import TIMEOUT_S, CatalogueStore
from policies.connect import connect
from policies.entities import ApiKey, Tenant, UserAccount
from policies.errors import InUseError, StoreError, UnknownReferenceError
from tests.policies.catalogue.conftest import OPS
from tests.policies.catalogue.test_imports import applied, until_empty
from tests.policies.redis_nodes import ClusterGroup
from tests.policies.redis_server import binaries

SEEN_S = 30.0


@pytest.fixture(scope="module")
def nodes() -> Iterator[ClusterGroup]:
    group = ClusterGroup(next(iter(binaries().values())))
    yield group
    group.close()


@pytest.fixture
async def live(nodes: ClusterGroup) -> AsyncIterator[LiveCatalogue]:
    nodes.empty()
    store = CatalogueStore(connect(nodes.url, timeout_s=TIMEOUT_S))
    live = LiveCatalogue(store)
    await live.start()
    yield live
    await live.close()
    await store.close()


async def test_writing_following_and_looking_up(live: LiveCatalogue) -> None:
    store, acme = live.store, (Kind.TENANTS, "acme")
    ada = UserAccount(name="ada", tenant="acme")
    with pytest.raises(UnknownReferenceError):
        await store.put(ada, OPS, "create", expected=0, here=[acme])
    await store.put(Tenant(name="acme", qos_tier="premium"), OPS, "create", expected=0, here=())
    await store.put(ada, OPS, "create", expected=0, here=[acme])
    key = ApiKey(id="k1", user="ada", sha256="b" * 64)
    await live.seen((await store.put(key, OPS, "create", expected=0, here=())).version, SEEN_S)
    identity = await live.identity("k1")
    assert identity is not None
    assert (identity.tenant, identity.qos_tier) == ("acme", "premium")
    with pytest.raises(InUseError):
        await store.delete(Kind.TENANTS, "acme", OPS, expected=None)
    revoked = await store.put(key.model_copy(update={"revoked": True}), OPS, "revoke", expected=None, here=())
    await live.seen(revoked.version, SEEN_S)
    identity = await live.identity("k1")
    assert identity is not None
    assert identity.key.revoked
    assert [entry.version for entry in (await store.audit(limit=10))[0]] == [4, 3, 2, 1]
    assert [each.name for each in (await store.page(Kind.USERS, naming=acme)).items] == ["ada"]


async def test_a_file_is_applied_and_nothing_of_it_stays_behind(live: LiveCatalogue) -> None:
    imports = Imports(live)
    plan = await applied(imports, {"tenants": [{"name": f"t{n:03}"} for n in range(500)]})
    assert plan.create == 500
    await until_empty(live.store, f"{live.store.base}import:*:*")
    plan = await applied(imports, {"tenants": [{"name": "t000"}]}, prune=True)
    assert plan.delete == 499
    assert (await live.store.counts())[Kind.TENANTS] == 1
    await imports.close()


async def test_while_no_node_answers_nothing_breaks_and_afterwards_it_is_followed_again(nodes: ClusterGroup) -> None:
    nodes.empty()
    store = CatalogueStore(connect(nodes.url, timeout_s=TIMEOUT_S))
    live = LiveCatalogue(store)
    await live.start()
    assert live.loaded
    for server in nodes.servers:
        server.kill()
    for _ in range(5):  # the driver finds out by and by, with an error of another kind each time
        with pytest.raises(StoreError):
            await store.head()
        with pytest.raises(StoreError):
            await live.identity("k1")
        await asyncio.sleep(0.2)
    later = LiveCatalogue(CatalogueStore(connect(nodes.url, timeout_s=TIMEOUT_S)))
    await later.start(wait_s=0.5)
    assert not later.loaded
    for server in nodes.servers:
        server.start()
    give_up = time.monotonic() + SEEN_S
    while True:
        try:
            version = (await store.put(Tenant(name="acme"), OPS, "create", expected=None, here=())).version
            break
        except StoreError:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.1)
    for each in (live, later):
        await each.seen(version, SEEN_S)
        await each.close()
        await each.store.close()


async def test_a_write_while_the_slot_is_moved_is_made_whole_or_refused(
    nodes: ClusterGroup, live: LiveCatalogue
) -> None:
    """A key that would be made anew belongs to the other node then, and Redis ends the script where it meets it."""
    store = live.store
    for tenant in ("acme", "globex"):
        await store.put(Tenant(name=tenant), OPS, "create", expected=0, here=())
    await store.put(UserAccount(name="ada", tenant="acme"), OPS, "create", expected=0, here=())
    slot = key_slot(b"catalogue")
    source = nodes.owner(slot)
    target = next(server for server in nodes.primaries if server is not source)
    with source.sync() as source_redis, target.sync() as target_redis:
        target_redis.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", nodes.node_id(source))
        source_redis.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", nodes.node_id(target))
        before = source.dump()
        with pytest.raises(StoreError):
            await store.put(UserAccount(name="gus", tenant="globex"), OPS, "create", expected=0, here=())
        assert source.dump() == before
        await store.put(
            UserAccount(name="eve", tenant="acme"), OPS, "create", expected=0, here=()
        )  # all keys are there
        for redis in (source_redis, target_redis):
            redis.execute_command("CLUSTER", "SETSLOT", slot, "STABLE")
    await store.put(UserAccount(name="gus", tenant="globex"), OPS, "create", expected=0, here=())
