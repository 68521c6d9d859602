"""Whole files: planned, applied all or nothing, finished by whoever is left."""

import asyncio
import time
from typing import Any

import pytest

from policies.catalogue import Catalogue, Kind
from policies.catalogue.imports import Imports
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import CatalogueStore
from policies.entities import Tenant
from policies.errors import (
    CatalogueError,
    ImportRunningError,
    NotFoundError,
    RefusedChangeError,
    VersionConflictError,
)
from tests.policies.catalogue.conftest import OPS, store_on
from tests.policies.redis_server import RedisServer

DONE_S = 20
"""How long a test waits for an import to end."""

FILE: dict[str, Any] = {
    "tenants": [{"name": "acme", "qos_tier": "premium"}, {"name": "globex"}],
    "users": [{"name": "paula", "tenant": "acme"}, {"name": "ada2", "tenant": "platform"}],
    "keys": [{"id": "k1", "user": "paula", "sha256": "b" * 64, "models": ["big"]}],
    "tiers": [{"name": "large"}],
    "models": [{"name": "big", "tier": "large", "aliases": ["large"]}],
    "policies": [{"name": "p", "scope": "TENANT", "limit": 5, "window": "1m", "match": {"tenant": "acme"}}],
}
CONFIG = Catalogue.parse(
    {
        "tenants": [{"name": "platform"}],
        "users": [{"name": "ada", "tenant": "platform"}],
        "tiers": [{"name": "small"}],
        "models": [{"name": "m", "tier": "small", "aliases": ["default"]}],
    }
)


@pytest.fixture
def imports(live: LiveCatalogue) -> Imports:
    live.use_config(CONFIG)
    return Imports(live)


async def staged(imports: Imports, *parts: dict[str, Any]) -> str:
    import_id = await imports.begin()
    for number, part in enumerate(parts):
        await imports.add(import_id, number, part)
    return import_id


async def done(imports: Imports, import_id: str) -> None:
    give_up = time.monotonic() + DONE_S
    while (await imports.state(import_id)).state != "done":
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)


async def until_empty(store: CatalogueStore, pattern: str) -> None:
    give_up = time.monotonic() + DONE_S
    while await store.redis.keys(pattern):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)


async def applied(imports: Imports, *parts: dict[str, Any], prune: bool = False) -> Any:
    import_id = await staged(imports, *parts)
    plan = await imports.plan(import_id, prune=prune)
    assert plan.problems == ()
    await imports.commit(import_id, plan.version, OPS)
    await done(imports, import_id)
    return plan


async def everything(store: CatalogueStore) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for kind in Kind:
        page = await store.page(kind, limit=10_000)
        found[kind.value] = [each.entity.model_dump(mode="json", exclude_defaults=True) for each in page.items]
    return found


async def test_a_file_is_applied_and_applying_it_again_changes_nothing(
    imports: Imports, live: LiveCatalogue, store: CatalogueStore
) -> None:
    plan = await applied(imports, FILE)
    assert (plan.create, plan.update, plan.delete, plan.unchanged) == (8, 0, 0, 0)
    assert {(d.kind, d.name, d.action) for d in plan.differences} >= {("tenants", "acme", "create")}
    assert "b" * 64 not in repr(plan)
    await live.seen(8, DONE_S)
    identity = await live.identity("k1")
    assert identity is not None
    assert identity.tenant == "acme"
    again = await applied(imports, FILE)
    assert (again.changes, again.unchanged) == (0, 8)
    assert (await store.head()).version == 8
    entries, _ = await store.audit(limit=100)
    assert {(e.action, e.actor) for e in entries} == {("import", OPS)}
    await until_empty(store, "*import:*:*")


async def test_exporting_and_applying_is_the_identity(imports: Imports, store: CatalogueStore) -> None:
    await applied(imports, FILE)
    exported = await everything(store)
    await store.redis.flushall()
    await applied(imports, exported, prune=True)
    assert await everything(store) == exported


@pytest.mark.parametrize("prune", [False, True])
async def test_what_the_configuration_has_taken_over_is_no_change(
    imports: Imports, live: LiveCatalogue, store: CatalogueStore, prune: bool
) -> None:
    """A later configuration has a tenant of this name too: a backup can be applied all the same."""
    await applied(imports, FILE)
    before = await everything(store)
    live.use_config(CONFIG.model_copy(update={"tenants": (*CONFIG.tenants, Tenant(name="acme", weight=7))}))
    plan = await applied(imports, before, prune=prune)
    assert plan.changes == 0
    assert await everything(store) == before


async def test_prune_deletes_what_is_not_in_the_file_and_nothing_else(imports: Imports, store: CatalogueStore) -> None:
    await applied(imports, FILE)
    smaller = {"tenants": [{"name": "acme", "weight": 2}], "users": FILE["users"][:1]}
    plan = await applied(imports, smaller)  # without prune everything else stays
    assert (plan.create, plan.update, plan.delete) == (0, 1, 0)
    plan = await applied(imports, smaller, prune=True)
    assert (plan.create, plan.update, plan.delete, plan.unchanged) == (0, 0, 6, 2)
    assert await everything(store) == {
        **{kind.value: [] for kind in Kind},
        "tenants": [{"name": "acme", "weight": 2.0}],
        "users": [{"name": "paula", "tenant": "acme"}],
    }
    assert await store.redis.keys("*by:*") == [b"sluice:{catalogue}:by:tenants/acme"]


async def test_names_of_models_may_change_hands(imports: Imports, store: CatalogueStore) -> None:
    def models(first: str, second: str) -> dict[str, Any]:
        return {
            "tiers": [{"name": "t"}],
            "models": [{"name": "a", "tier": "t", "aliases": [first]}, {"name": "b", "tier": "t", "aliases": [second]}],
        }

    await applied(imports, models("x", "y"))
    await applied(imports, models("y", "x"))
    taken = await store.redis.hgetall(store.base + "taken")
    assert taken == {b"a": b"a", b"b": b"b", b"x": b"b", b"y": b"a"}


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ({"users": [{"name": "u", "tenant": "nobody"}]}, "user 'u' names tenant 'nobody', which does not exist"),
        ({"tenants": [{"name": "platform", "weight": 3}]}, "tenant 'platform' comes from the configuration file"),
        ({"tenants": [{"name": "t", "qos_tier": "gold"}]}, "qos_tier 'gold' does not exist"),
        ({"models": [{"name": "x", "tier": "small", "aliases": ["default"]}]}, "one of model 'm' of the configuration"),
        (
            {"models": [{"name": "x", "tier": "small"}, {"name": "y", "tier": "small", "aliases": ["x"]}]},
            "both have the name 'x'",
        ),
        (
            {"policies": [{"name": "q", "scope": "MODEL", "limit": 1, "window": "1s", "match": {"model": "nix"}}]},
            "policy 'q' names model 'nix'",
        ),
        ({"keys": [{"id": "demo-x", "user": "ada", "sha256": "0" * 64, "demo": True}]}, "demo keys stand only"),
    ],
)
async def test_what_cannot_be_is_told_and_nothing_happens(
    imports: Imports, store: CatalogueStore, file: dict[str, Any], problem: str
) -> None:
    import_id = await staged(imports, {**FILE}, file)
    plan = await imports.plan(import_id)
    assert any(problem in each for each in plan.problems), plan.problems
    with pytest.raises(RefusedChangeError, match="no plan without problems"):
        await imports.commit(import_id, plan.version, OPS)
    assert await everything(store) == {kind.value: [] for kind in Kind}


async def test_a_reference_to_what_prune_deletes_is_a_problem(imports: Imports) -> None:
    await applied(imports, FILE)
    import_id = await staged(imports, {"users": FILE["users"][:1]})
    assert (await imports.plan(import_id)).problems == ()
    assert "names tenant 'acme'" in (await imports.plan(import_id, prune=True)).problems[0]


async def test_wrong_parts_are_refused_with_their_place(imports: Imports) -> None:
    import_id = await imports.begin()
    with pytest.raises(CatalogueError, match=r"part 3.tenants\[1\].weight"):
        await imports.add(import_id, 3, {"tenants": [{"name": "a"}, {"name": "b", "weight": -1}]})
    with pytest.raises(CatalogueError, match="tenants: the name 'a' is used twice"):
        await imports.add(import_id, 0, {"tenants": [{"name": "a"}, {"name": "a"}]})
    await imports.add(import_id, 0, {"tenants": [{"name": "a"}]})
    await imports.add(import_id, 0, {"tenants": [{"name": "a", "weight": 2}]})  # the same part again
    with pytest.raises(CatalogueError, match="tenants: the name 'a' is used twice"):
        await imports.add(import_id, 1, {"tenants": [{"name": "a"}]})
    with pytest.raises(NotFoundError):
        await imports.add("nothing", 0, {})


async def test_a_part_that_is_sent_again_takes_the_place_of_what_it_held(
    imports: Imports, store: CatalogueStore
) -> None:
    import_id = await staged(imports, {"tenants": [{"name": "a"}, {"name": "b"}]}, {"tiers": [{"name": "t"}]})
    await imports.add(import_id, 0, {"tenants": [{"name": "b", "weight": 2}], "users": [{"name": "u", "tenant": "b"}]})
    await imports.add(import_id, 2, {"tenants": [{"name": "a", "weight": 3}]})  # free again
    plan = await imports.plan(import_id)
    assert (plan.create, plan.problems) == (4, ())
    assert [(d.name, d.after) for d in plan.differences][:2] == [
        ("a", {"name": "a", "weight": 3.0}),
        ("b", {"name": "b", "weight": 2.0}),
    ]


async def test_a_name_in_two_parts_at_once_is_found(imports: Imports) -> None:
    import_id = await imports.begin()
    outcomes = await asyncio.gather(
        *(imports.add(import_id, part, {"tenants": [{"name": "a", "weight": part + 1}]}) for part in range(8)),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["CatalogueError"] * 7 + ["int"]


async def test_what_is_staged_while_a_plan_is_made_is_in_the_plan_or_refused(
    imports: Imports, store: CatalogueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await staged(imports, {"tenants": [{"name": "m"}]})
    existing, added = store.existing, False

    async def meanwhile(references: Any) -> Any:
        nonlocal added
        if not added:
            added = True
            await imports.add(import_id, 1, {"tenants": [{"name": "a"}]})
        return await existing(references)

    monkeypatch.setattr(store, "existing", meanwhile)
    with pytest.raises(RefusedChangeError, match="plan it again"):
        await imports.plan(import_id)
    assert (await imports.plan(import_id)).create == 2


async def test_two_plans_of_one_import_at_once_do_not_mix(
    imports: Imports, store: CatalogueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a client waits for a long plan no longer, and asks for it again."""
    monkeypatch.setattr("policies.catalogue.planning._PIECE", 10)
    import_id = await staged(imports, {"tenants": [{"name": f"t{n:03}"} for n in range(300)]})
    plans = await asyncio.gather(*(imports.plan(import_id) for _ in range(3)))
    assert {plan.create for plan in plans} == {300}
    await imports.commit(import_id, plans[0].version, OPS)
    await done(imports, import_id)
    assert (await store.counts())[Kind.TENANTS] == 300
    await until_empty(store, f"{store.base}import:*:*")


@pytest.mark.parametrize("late", ["a plan", "a part"])
async def test_what_comes_late_never_stops_an_import_that_has_begun(
    imports: Imports, store: CatalogueStore, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """It began before the commit, and goes on behind it."""
    import_id = await staged(imports, {"tenants": [{"name": f"t{n:03}"} for n in range(300)]})
    plan = await imports.plan(import_id)
    seen, go_on = asyncio.Event(), asyncio.Event()
    run, existing = store.run, store.existing

    async def held(call: Any, *args: Any) -> Any:
        seen.set()
        await go_on.wait()
        return await call(*args)

    if late == "a plan":
        monkeypatch.setattr(store, "existing", lambda references: held(existing, references))
        task: asyncio.Task[Any] = asyncio.create_task(imports.plan(import_id))
    else:
        monkeypatch.setattr(store, "run", lambda *args: held(run, *args))
        task = asyncio.create_task(imports.add(import_id, 1, {"tenants": [{"name": "late"}]}))
    await seen.wait()
    monkeypatch.undo()
    await imports.commit(import_id, plan.version, OPS)
    go_on.set()
    with pytest.raises((RefusedChangeError, NotFoundError)):
        await task
    await done(imports, import_id)
    assert (await store.counts())[Kind.TENANTS] == 300


async def test_a_plan_holds_only_for_the_catalogue_it_was_made_for(imports: Imports, store: CatalogueStore) -> None:
    import_id = await staged(imports, FILE)
    plan = await imports.plan(import_id)
    await store.put(Tenant(name="other"), OPS, "create", expected=0, here=())
    with pytest.raises(VersionConflictError, match="plan again"):
        await imports.commit(import_id, plan.version, OPS)
    plan = await imports.plan(import_id)
    await imports.commit(import_id, plan.version, OPS)
    await done(imports, import_id)
    assert await imports.running() is None
    again = await imports.commit(import_id, plan.version, OPS)  # an answer that was lost: asked again
    assert again.state == "done"


async def test_a_large_file_is_finished_by_others_when_its_process_dies(
    imports: Imports, store: CatalogueStore, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.catalogue.imports.AT_ONCE", 10)
    import_id = await staged(imports, {"tenants": [{"name": f"t{n:04}"} for n in range(1000)]})
    plan = await imports.plan(import_id)
    await imports.commit(import_id, plan.version, OPS)
    await asyncio.sleep(0.02)
    await imports.close()  # as though it had died in the middle
    state = await imports.state(import_id)
    assert state.state == "committing"
    assert 0 < state.done < 1000
    with pytest.raises(ImportRunningError):
        await store.put(Tenant(name="other"), OPS, "create", expected=0, here=())
    # Two others find it, at the same time.
    others = [LiveCatalogue(store_on(redis_server)) for _ in range(2)]
    await store.redis.hset(store.head_key, "import_until", 1)  # the lease is over
    finishing = [Imports(each) for each in others]
    for each in others:
        await each.start()
    await done(imports, import_id)
    entries, _ = await store.audit(limit=2000)
    assert [e.name for e in entries[::-1]] == [f"t{n:04}" for n in range(1000)]  # each once
    await store.put(Tenant(name="other"), OPS, "create", expected=0, here=())
    for importing, each in zip(finishing, others, strict=True):
        await importing.close()
        await each.close()
        await each.store.close()
