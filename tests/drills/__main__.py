"""`make drills`, or `python -m tests.drills [NAME…]` for some of them. Exit status 1 if one failed.

Drills of one application follow one another over it. Only a whole run is written into docs/drills.md.
"""

import argparse
import asyncio
import signal
import sys
import time
from contextlib import ExitStack

from tests.drills import alone, clients, deploys, processes, sentinel, store
from tests.drills.kit import report
from tests.drills.kit.application import Application, application
from tests.drills.kit.drill import Drill, Result
from tests.drills.kit.redis import DrilledRedis
from tests.drills.kit.scene import prepared

SHARED = (*store.DRILLS, *clients.DRILLS, *processes.DRILLS, *deploys.DRILLS)
"""Over one application, those last that replace most of it."""


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    names = [drill.name for drill in SHARED] + [*alone.DRILLS, *sentinel.DRILLS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all where left out")
    wanted = set(parser.parse_args().names) or set(names)
    if unknown := wanted - set(names):
        parser.error(f"there is no drill {', '.join(sorted(unknown))}; there are {', '.join(names)}")

    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)  # what was made is removed all the same
    began, results = time.monotonic(), []
    for name, run in {**alone.DRILLS, **sentinel.DRILLS}.items():
        if name in wanted:
            print(f"==> {name}", flush=True)
            results.append(_told(await run()))
    results = [*await _shared([drill for drill in SHARED if drill.name in wanted]), *results]

    took_s = time.monotonic() - began
    print(f"\n{report.table(results)}\n\nkept in {report.keep(results, took_s)}")
    failed = any(result.problems for result in results)
    if wanted == set(names) and not failed:
        report.publish(results, took_s)
    return int(failed)


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
            # In a thread, because the proxy before Redis lives in this one; it goes on after that, as `sluice up` must.
            running = application(url)
            return await asyncio.to_thread(stack.enter_context, running)

        async with prepared(start, redis) as scene:
            for drill in drills:
                print(f"==> {drill.name}: {drill.fault}", flush=True)
                results.append(_told(await scene.play(drill)))
    return results


def _told(result: Result) -> Result:
    print(report.table([result]).splitlines()[-1], flush=True)
    return result


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
