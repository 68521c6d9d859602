"""The catalogue's part in Redis: versions, references, names, lists, the stream of changes."""

import asyncio
from itertools import pairwise

import pytest

from policies.catalogue import Actor, Kind
from policies.catalogue.records import written
from policies.catalogue.store import CatalogueStore
from policies.entities import ApiKey, Model, ModelTier, RateLimitPolicy, Tenant, UserAccount
from policies.errors import (
    AlreadyExistsError,
    InUseError,
    NotFoundError,
    UnknownReferenceError,
    VersionConflictError,
)
from tests.policies.catalogue.conftest import OPS, store_on
from tests.policies.redis_server import RedisServer

ACME = Tenant(name="acme", qos_tier="premium")
PAULA = UserAccount(name="paula", tenant="acme")


async def test_what_is_written_is_read_back(store: CatalogueStore) -> None:
    entities = [
        ACME,
        PAULA,
        ModelTier(name="large"),
        Model(name="org/m-70b", tier="large", aliases=("m", "default")),
        ApiKey(id="k1", user="paula", sha256="0" * 64, models=("org/m-70b",), expires_at="2031-01-01T00:00:00Z"),
        RateLimitPolicy(
            name="p", scope="TENANT", limit=5, window="1m", match={"tenant": ["acme"], "model": "org/m-70b"}
        ),
    ]
    for at, entity in enumerate(entities, 1):
        stored = await store.put(entity, OPS, "create", expected=0, here=())
        assert stored.version == at
        found = await store.get(stored.kind, stored.name)
        assert found == stored
        assert found.entity == entity
    assert await store.get(Kind.TENANTS, "nobody") is None
    assert await store.counts() == dict.fromkeys(Kind, 1)
    assert (await store.head()).version == 6


async def test_versions_guard_against_lost_updates(store: CatalogueStore) -> None:
    created = await store.put(ACME, OPS, "create", expected=0, here=())
    with pytest.raises(AlreadyExistsError, match="tenant 'acme' exists already"):
        await store.put(ACME, OPS, "create", expected=0, here=())
    updated = await store.put(Tenant(name="acme"), OPS, "update", expected=created.version, here=())
    with pytest.raises(VersionConflictError, match="is at version 2, not 1: read it again") as refused:
        await store.put(ACME, OPS, "update", expected=created.version, here=())
    assert refused.value.version == 2
    with pytest.raises(VersionConflictError):
        await store.delete(Kind.TENANTS, "acme", OPS, expected=created.version)
    assert await store.get(Kind.TENANTS, "acme") == updated
    await store.delete(Kind.TENANTS, "acme", OPS, expected=updated.version)
    with pytest.raises(VersionConflictError, match="deleted since version 2"):
        await store.put(ACME, OPS, "update", expected=updated.version, here=())
    with pytest.raises(NotFoundError, match="tenant 'acme' does not exist"):
        await store.delete(Kind.TENANTS, "acme", OPS, expected=None)


async def test_references_must_lead_somewhere_and_are_not_cut(store: CatalogueStore) -> None:
    with pytest.raises(UnknownReferenceError, match="user 'paula' names tenant 'acme', which does not exist"):
        await store.put(PAULA, OPS, "create", expected=0, here=[(Kind.TENANTS, "acme")])
    await store.put(ACME, OPS, "create", expected=0, here=())
    await store.put(PAULA, OPS, "create", expected=0, here=[(Kind.TENANTS, "acme")])
    policy = RateLimitPolicy(name="p", scope="TENANT", limit=5, window="1m", match={"tenant": "acme"})
    await store.put(policy, OPS, "create", expected=0, here=[(Kind.TENANTS, "acme")])
    with pytest.raises(InUseError, match="tenant 'acme' is named by policy 'p', user 'paula'"):
        await store.delete(Kind.TENANTS, "acme", OPS, expected=None)
    # An update takes its old references back.
    await store.put(policy.model_copy(update={"match": type(policy.match)()}), OPS, "update", expected=None, here=())
    assert await store.referrers((Kind.TENANTS, "acme")) == [(Kind.USERS, "paula")]
    await store.delete(Kind.USERS, "paula", OPS, expected=None)
    await store.delete(Kind.TENANTS, "acme", OPS, expected=None)
    assert await store.redis.keys("*by:*") == []


async def test_model_names_and_aliases_are_unique(store: CatalogueStore) -> None:
    await store.put(ModelTier(name="t"), OPS, "create", expected=0, here=())
    await store.put(Model(name="a", tier="t", aliases=("x",)), OPS, "create", expected=0, here=())
    for clash in (Model(name="x", tier="t"), Model(name="b", tier="t", aliases=("a",))):
        with pytest.raises(AlreadyExistsError, match="one of model 'a' already"):
            await store.put(clash, OPS, "create", expected=0, here=())
    await store.put(Model(name="a", tier="t", aliases=("y",)), OPS, "update", expected=None, here=())
    await store.put(Model(name="x", tier="t"), OPS, "create", expected=0, here=())
    await store.delete(Kind.MODELS, "a", OPS, expected=None)
    await store.put(Model(name="y", tier="t", aliases=("a",)), OPS, "create", expected=0, here=())


async def test_several_are_written_together_or_not_at_all(store: CatalogueStore) -> None:
    good = written("create", Kind.TENANTS, "acme", 0, ACME, ())
    bad = written("create", Kind.USERS, "paula", 0, PAULA, [(Kind.TENANTS, "nobody"), (Kind.TENANTS, "acme")])
    with pytest.raises(UnknownReferenceError):
        await store.write([good, bad], OPS)
    assert (await store.head()).version == 0
    assert await store.redis.keys("*") == []


async def test_a_write_sent_twice_is_done_once(store: CatalogueStore) -> None:
    sent: list[tuple[object, ...]] = []
    evalsha = store.redis.evalsha

    async def twice(*args: object) -> object:
        sent.append(args)
        await evalsha(*args)
        return await evalsha(*args)

    await store.put(ACME, OPS, "create", expected=0, here=())
    store.redis.evalsha = twice
    stored = await store.put(Tenant(name="globex"), OPS, "create", expected=0, here=())
    assert len(sent) == 1
    assert (await store.head()).version == stored.version == 2


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_are_in_order_and_complete(store: CatalogueStore, limit: int) -> None:
    names = sorted(["a", "B", "a-b", "a.b", "a/b", "Z9", "z"])
    for name in names:
        await store.put(Tenant(name=name), OPS, "create", expected=0, here=())
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await store.page(Kind.TENANTS, after=after, limit=limit)
        assert len(page.items) <= limit
        found += [each.name for each in page.items]
        after = page.next_after
    assert found == names


async def test_lists_are_narrowed_by_index_and_by_condition(store: CatalogueStore) -> None:
    for user in ("u1", "u10", "u2"):
        await store.put(UserAccount(name=user, tenant="t"), OPS, "create", expected=0, here=())
        for n in range(3):
            key = ApiKey(id=f"{user}k{n}", user=user, sha256="0" * 64, revoked=n == 1)
            await store.put(key, OPS, "create", expected=0, here=())
    page = await store.page(Kind.KEYS, naming=(Kind.USERS, "u1"), limit=2)
    assert [each.name for each in page.items] == ["u1k0", "u1k1"]
    page = await store.page(Kind.KEYS, naming=(Kind.USERS, "u1"), after="u1k1", limit=2)
    assert ([each.name for each in page.items], page.next_after) == (["u1k2"], None)
    page = await store.page(Kind.KEYS, where=lambda key: key.revoked, limit=2)  # type: ignore[attr-defined]
    assert [each.name for each in page.items] == ["u10k1", "u1k1"]


async def test_a_list_that_little_fits_has_short_pages(store: CatalogueStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.catalogue.store.MOST_LOOKED_AT", 4)
    for n in range(10):
        await store.put(Tenant(name=f"t{n}"), OPS, "create", expected=0, here=())
    pages = []
    after: str | None = ""
    while after is not None:
        page = await store.page(Kind.TENANTS, after=after, limit=5, where=lambda t: t.name == "t9")  # type: ignore[attr-defined]
        pages.append([each.name for each in page.items])
        after = page.next_after
    assert pages == [[], [], ["t9"]]


async def test_the_audit_log_says_who_did_what(store: CatalogueStore) -> None:
    other = Actor("bob1", "bob", "acme")
    await store.put(ACME, OPS, "create", expected=0, here=())
    await store.put(Tenant(name="acme", weight=2), other, "update", expected=1, here=())
    await store.put(ApiKey(id="k1", user="u", sha256="ab" * 32), OPS, "issue", expected=0, here=())
    await store.delete(Kind.TENANTS, "acme", OPS, expected=2)
    entries, more = await store.audit()
    assert more is None
    told = [(e.version, e.actor, e.action, e.kind, e.name, e.before, e.after) for e in entries]
    weighty = {"name": "acme", "weight": 2.0}
    premium = {"name": "acme", "qos_tier": "premium"}
    assert told == [
        (4, OPS, "delete", "tenants", "acme", weighty, None),
        (3, OPS, "issue", "keys", "k1", None, {"id": "k1", "user": "u"}),
        (2, other, "update", "tenants", "acme", premium, weighty),
        (1, OPS, "create", "tenants", "acme", None, premium),
    ]
    assert entries[0].at >= entries[-1].at
    page, more = await store.audit(limit=2)
    assert ([e.version for e in page], more) == ([4, 3], 3)
    page, more = await store.audit(limit=2, before=3)
    assert ([e.version for e in page], more) == ([2, 1], None)
    page, more = await store.audit(limit=5, where=lambda e: e.actor == other)
    assert ([e.version for e in page], more) == ([2], None)


async def test_a_hundred_writers_lose_nothing(store: CatalogueStore, redis_server: RedisServer) -> None:
    """Each adds 1 to the same weight until it has succeeded once, over connections of its own."""
    await store.put(Tenant(name="acme", weight=1), OPS, "create", expected=0, here=())

    async def add_one(number: int) -> None:
        mine = store_on(redis_server)
        try:
            while True:
                stored = await mine.get(Kind.TENANTS, "acme")
                assert stored is not None
                assert isinstance(stored.entity, Tenant)
                raised = stored.entity.model_copy(update={"weight": stored.entity.weight + 1})
                try:
                    await mine.put(raised, Actor(f"k{number}", "u", "t"), "update", expected=stored.version, here=())
                    return
                except VersionConflictError:
                    continue
        finally:
            await mine.close()

    await asyncio.gather(*(add_one(n) for n in range(100)))
    last = await store.get(Kind.TENANTS, "acme")
    assert last is not None
    assert isinstance(last.entity, Tenant)
    assert (last.entity.weight, last.version) == (101, 101)
    entries, _ = await store.audit(limit=200)
    in_order = entries[::-1]
    assert [e.version for e in in_order] == list(range(1, 102))
    assert {e.actor.api_key for e in in_order[1:]} == {f"k{n}" for n in range(100)}
    for one, next_one in pairwise(in_order):
        assert next_one.before == one.after
    assert [e.at for e in in_order] == sorted(e.at for e in in_order)


async def test_the_log_keeps_about_as_much_as_it_is_told(redis_server: RedisServer, store: CatalogueStore) -> None:
    short = store_on(redis_server, audit_entries=100)
    for n in range(400):
        await short.put(Tenant(name="acme", weight=n + 1), OPS, "update", expected=None, here=())
    kept, _ = await short.audit(limit=1000)
    assert 100 <= len(kept) <= 300
    assert kept[0].version == 400
    await short.close()
