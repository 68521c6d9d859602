"""One process that judges by a large catalogue, measured from its start: run by `loadtests.bench.catalogue`.

Arguments: the Redis socket, how many keys there are, how many of them to look up. Prints JSON.
"""

import gc
import json
import random
import sys
import time
from collections.abc import Sequence
from statistics import median, quantiles

import psutil
import uvloop

from loadtests.bench.catalogue.filling import MODEL, key_id, policy
from policies.catalogue.live import LiveCatalogue
from policies.catalogue.store import TIMEOUT_S, CatalogueStore
from policies.connect import connect
from policies.resolver import Identity

ROUNDS = 20_000


def _memory_mb() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


def _told_us(times_s: Sequence[float]) -> dict[str, float]:
    return {"p50_us": round(median(times_s) * 1e6, 2), "p99_us": round(quantiles(times_s, n=100)[98] * 1e6, 2)}


async def _main(socket: str, keys: int, looked_up: int) -> None:
    before_mb = _memory_mb()
    start = time.perf_counter()
    live = LiveCatalogue(CatalogueStore(connect(f"unix://{socket}", timeout_s=TIMEOUT_S)))
    await live.start(60)
    report: dict[str, object] = {"start_s": round(time.perf_counter() - start, 3)}
    report["memory_mb"] = round(_memory_mb() - before_mb, 1)

    chosen = random.Random(1).sample(range(keys), min(looked_up, keys))
    identities, unknown, known = [], [], []
    for number in chosen:
        start = time.perf_counter()
        identity = await live.identity(key_id(number))
        unknown.append(time.perf_counter() - start)
        assert identity is not None
        identities.append(identity)
    for number in chosen:
        start = time.perf_counter()
        live.recall(key_id(number))
        known.append(time.perf_counter() - start)
    report["key_from_redis"], report["key_from_memory"] = _told_us(unknown), _told_us(known)
    report["memory_with_keys_mb"] = round(_memory_mb() - before_mb, 1)
    report["keys_in_memory"] = len(chosen)
    report |= _resolution(live, identities)

    start = time.perf_counter()
    live.use_config(live.config)
    report["new_configuration_ms"] = round((time.perf_counter() - start) * 1e3, 1)
    await live.close()
    await live.store.close()
    print(json.dumps(report))


def _resolution(live: LiveCatalogue, identities: Sequence[Identity]) -> dict[str, object]:
    model = live.resolver.model(MODEL.name)
    assert model is not None
    first, again, changed = [], [], []
    applying = len(live.resolver.plan(identities[0], model))
    for identity in identities[1 : ROUNDS + 1]:
        start = time.perf_counter()
        plan = live.resolver.plan(identity, model)
        first.append(time.perf_counter() - start)
        assert plan
    for identity in identities[-5_000:]:  # at most that many plans are remembered twice over
        live.resolver.plan(identity, model)
        start = time.perf_counter()
        live.resolver.plan(identity, model)
        again.append(time.perf_counter() - start)
    for n in range(100):
        another = policy(f"changed{n}", "TENANT", 1, tenant="tenant0")
        start = time.perf_counter()
        live.resolver.put_policies([another])
        changed.append(time.perf_counter() - start)
    return {
        "plan_first": _told_us(first),
        "plan_again": _told_us(again),
        "policy_changed": _told_us(changed),
        "policies_that_apply": applying,
    }


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
