"""What needs no Ray Serve: ingresses whose clocks are wrong, and requests and files that nobody would write."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from redis.asyncio import Redis

from tests.deployments.ingress.conftest import LocalPools
from tests.deployments.ingress.served import Server
from tests.deployments.ingress.test_conformance import ASKED, SETTINGS, Able, answered, schemathesis
from tests.drills import fuzzing
from tests.drills.kit.application import KEYS, LIMIT
from tests.drills.kit.drill import ALWAYS, Result
from tests.drills.kit.load import Load
from tests.drills.kit.redis import FAKETIME
from tests.drills.kit.watch import Watch
from tests.integration.conftest import ROOT
from tests.policies.redis_server import RedisServer, binaries

SKEWS = {"-1h": -3600, "+0": 0, "+1d": 86_400}
"""As libfaketime wants them, and in seconds."""

SKEWED_S = 8.0
REQUESTS_OF_EACH = 10
"""Requests that schemathesis makes of each operation, at most."""
LEAST_REQUESTS = 200
SURFACE = {"requests": "^/(v1|page|healthz|readyz)", "admin": "^/admin"}
"""In this order: a policy that the admin API is made to write may rightly refuse whatever comes after it."""


async def _skewed() -> Result:
    """Three ingresses over one Redis, one an hour behind and one a day ahead: one limit, exact across them."""
    result = Result("ingress-clock", "ingresses an hour behind and a day ahead of each other, one limit for all")
    if not FAKETIME.exists():
        result.skipped = f"{FAKETIME} is not there (Debian: libfaketime)"
        return result
    with ExitStack() as stack:
        redis = RedisServer(next(iter(binaries().values()))).start()
        stack.callback(redis.close)
        urls = await asyncio.gather(*(asyncio.to_thread(_ingress, stack, redis.socket, skew) for skew in SKEWS))
        watch = Watch(Redis(unix_socket_path=redis.socket), LIMIT, "limited", "tenant:limited")
        loads = [Load(url, KEYS) for url in urls]
        for load in loads:
            load.begin()
        await asyncio.sleep(SKEWED_S)
        for load in loads:
            await load.pause()
        await watch.look()
        result.over = watch.over()
        admitted, logged = 0, watch.logged()
        for load in loads:
            result.seen += load.seen()
            admitted += sum(each.tenant == "limited" and each.what == "200" for each in load.told)
            result.problems += sorted({each.problem for each in load.told if each.problem})[:2]
            await load.close()
        await watch.close()
    result.problems += [f"clients saw {what}" for what in result.seen if what not in ALWAYS]
    if result.over or admitted != logged:
        result.problems.append(f"{result.over} over; {admitted} admitted, {logged} in the log")
    if not result.seen["429 rate_limit_exceeded"]:
        result.problems.append("the limit was never reached")
    return result


def _ingress(stack: ExitStack, socket: str, skew: str) -> str:
    clock = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": skew, "DONT_FAKE_MONOTONIC": "1"}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.drills.lone_ingress", socket],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **clock},
    )
    stack.callback(process.wait, 30)
    assert process.stdin is not None
    assert process.stdout is not None
    stack.callback(process.stdin.close)
    url, at = process.stdout.readline().split()
    assert abs(float(at) - time.time() - SKEWS[skew]) < 60, f"the clock of an ingress is not {skew}"
    return url


async def _parsers() -> Result:
    result = Result("fuzz-parsers", "made-up durations, policies, catalogues, configuration files, bodies and headers")
    began = time.monotonic()
    with ExitStack() as stack:
        redis = RedisServer(next(iter(binaries().values()))).start()
        stack.callback(redis.close)
        pools = _able()
        server = stack.enter_context(Server(redis.socket, ASKED, pools, SETTINGS))
        for name, fuzz in fuzzing.PARSERS.items():
            problem = await asyncio.to_thread(fuzzing.attempt, fuzz)
            result.problems += [f"{name}: {problem}"] if problem else []
        statuses: Counter[str] = Counter()
        for name, fuzz_over_http in fuzzing.OVER_HTTP.items():
            problem = await asyncio.to_thread(fuzzing.attempt, lambda run=fuzz_over_http: run(server.url, statuses))
            result.problems += [f"{name}: {problem}"] if problem else []
    result.seen = statuses
    count = len(fuzzing.PARSERS) + len(fuzzing.OVER_HTTP)
    result.notes.append(f"{count} kinds, {fuzzing.EXAMPLES} of each, {time.monotonic() - began:.0f} s")
    return result


async def _surface() -> Result:
    result = Result("fuzz-http", "the whole HTTP surface asked by schemathesis, with another seed each time")
    seed = int.from_bytes(os.urandom(4), "big")
    with ExitStack() as stack:
        stack.enter_context(patch("deployments.ingress.live.viewer.LONGEST_S", 0.05))  # the live feed would not end
        redis = RedisServer(next(iter(binaries().values()))).start()
        stack.callback(redis.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(redis.socket, ASKED, _able(), SETTINGS))
        more = ("--seed", str(seed), "--max-examples", str(REQUESTS_OF_EACH), "--phases", "fuzzing")
        for name, paths in SURFACE.items():
            events = folder / f"{name}.ndjson"
            run = await asyncio.to_thread(schemathesis, server.url, paths, events, *more)
            result.seen += Counter(str(status) for _, status in answered(events))
            if run.returncode:
                result.problems.append(run.stdout.rpartition("= FAILURES =")[2][:2_000])
    result.notes.append(f"seed {seed}")
    if result.seen.total() < LEAST_REQUESTS:
        result.problems.append(f"only {result.seen.total()} requests")
    return result


def _able() -> LocalPools:
    pools = LocalPools()
    for service in pools.services.values():
        service._engine = Able(service._engine._options)
    return pools


DRILLS: dict[str, Callable[[], Awaitable[Result]]] = {
    "ingress-clock": _skewed,
    "fuzz-parsers": _parsers,
    "fuzz-http": _surface,
}
