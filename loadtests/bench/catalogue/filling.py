"""A large catalogue in a Redis of its own: tenants, users, keys, and policies of which most name one tenant."""

import asyncio
import sys
from collections.abc import Callable, Iterator

from policies.catalogue import Actor
from policies.catalogue.kinds import Kind, name_of
from policies.catalogue.records import written
from policies.catalogue.store import CatalogueStore
from policies.entities import ApiKey, Entity, Model, ModelTier, RateLimitPolicy, Tenant, UserAccount

AT_ONCE = 200
KEYS_PER_USER, USERS_PER_TENANT = 10, 10
ACTOR = Actor("bench", "bench", "bench")
MODEL = Model(name="m0", tier="t0")


def key_id(number: int) -> str:
    return f"k{number:015}"


def policy(name: str, scope: str, limit: int, **match: str) -> RateLimitPolicy:
    """A policy over a minute."""
    fields = {"name": name, "scope": scope, "limit": limit, "window": "1m", "match": match}
    return RateLimitPolicy.model_validate(fields)


def made_up_sha256(number: int) -> str:
    """Of no key at all: for those who only look keys up."""
    return f"{number:064x}"


def entities(keys: int, policies: int, key_sha256: Callable[[int], str] = made_up_sha256) -> Iterator[Entity]:
    """Policies: one for everybody, one for each model, the others for one tenant each."""
    users = max(1, keys // KEYS_PER_USER)
    tenants = max(1, users // USERS_PER_TENANT)
    for n in range(tenants):
        yield Tenant(name=f"tenant{n}")
    for n in range(users):
        yield UserAccount(name=f"user{n}", tenant=f"tenant{n % tenants}")
    yield ModelTier(name="t0")
    for n in range(20):
        yield Model(name=f"m{n}", tier="t0")
    for n in range(keys):
        yield ApiKey(id=key_id(n), user=f"user{n % users}", sha256=key_sha256(n))
    for n in range(policies):
        if n == 0:
            yield policy("everyone", "GLOBAL", 10**9)
        elif n <= 20:
            yield policy(f"model{n}", "MODEL", 10**9, model=f"m{n - 1}")
        else:
            yield policy(f"p{n}", "TENANT", 10**6 + n, tenant=f"tenant{n % tenants}")


async def fill(
    store: CatalogueStore, keys: int, policies: int, key_sha256: Callable[[int], str] = made_up_sha256
) -> int:
    """Writes it all; how many entities that were."""
    batch: list[list[bytes]] = []
    written_so_far = 0
    for entity in entities(keys, policies, key_sha256):
        kind = next(kind for kind in Kind if kind.entity is type(entity))
        batch.append(written("create", kind, name_of(entity), None, entity, ()))
        if len(batch) == AT_ONCE:
            await store.write(batch, ACTOR)
            written_so_far += len(batch)
            batch = []
            if written_so_far % 100_000 == 0:
                print(f"  {written_so_far:,} entities written", file=sys.stderr)
                await asyncio.sleep(0)
    if batch:
        await store.write(batch, ACTOR)
    return written_so_far + len(batch)
