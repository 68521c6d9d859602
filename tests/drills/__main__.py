"""`make drills`, or `python -m tests.drills [NAME…]` for some of them. Exit status 1 if one failed.

Drills of one application follow one another over it. A whole run is written into docs/drills.md.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable
from contextlib import ExitStack

from tests.drills import alone, clients, deploys, idle, processes, sentinel, several_nodes, store
from tests.drills.kit import report
from tests.drills.kit.application import Application, application
from tests.drills.kit.drill import Drill, Result
from tests.drills.kit.redis import DrilledRedis
from tests.drills.kit.scene import prepared

SHARED = (*store.DRILLS, *clients.DRILLS, *idle.DRILLS, *processes.DRILLS, *deploys.DRILLS)
"""Over one application, those last that replace most of it."""

ALONE = {**alone.DRILLS, **sentinel.DRILLS, **several_nodes.DRILLS}
"""Each starts what it needs."""


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    names = [drill.name for drill in SHARED] + [*ALONE]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all where left out")
    wanted = set(parser.parse_args().names) or set(names)
    if unknown := wanted - set(names):
        parser.error(f"there is no drill {', '.join(sorted(unknown))}; there are {', '.join(names)}")

    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)  # what was made is removed all the same
    began, results = time.monotonic(), []
    for name, run in ALONE.items():
        if name in wanted:
            print(f"==> {name}", flush=True)
            results.append(await _timed(run()))
    results = [*await _shared([drill for drill in SHARED if drill.name in wanted]), *results]

    took_s = time.monotonic() - began
    print(f"\n{report.table(results)}\n\nkept in {report.keep(results, took_s)}")
    if wanted == set(names):
        report.publish(results, took_s)
    return int(any(result.problems for result in results))


async def _shared(drills: list[Drill]) -> list[Result]:
    if not drills:
        return []
    results = []
    with ExitStack() as stack:
        redis = DrilledRedis()
        stack.callback(redis.close)
        redis.start()

        async def start(url: str) -> Application:
            print("==> starting an application (a minute)", flush=True)
            # In a thread of a pool: `sluice up` ends with the thread that started it.
            return await asyncio.to_thread(stack.enter_context, application(url))

        async with prepared(start, redis) as scene:
            for drill in drills:
                print(f"==> {drill.name}: {drill.fault}", flush=True)
                results.append(await _timed(scene.play(drill)))
    return results


async def _timed(drill: Awaitable[Result]) -> Result:
    began = time.monotonic()
    result = await drill
    result.took_s = time.monotonic() - began
    print(report.table([result]).splitlines()[-1], flush=True)
    return result


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
