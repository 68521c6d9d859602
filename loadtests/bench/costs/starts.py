"""How long `sluice up` takes until every application answers, and its end until nothing is left."""

import time
from collections.abc import Callable, Sequence

from loadtests.bench.applications import Entry
from loadtests.bench.report.spreads import Spread, spreads
from loadtests.bench.serving import Served, serving


def measured(
    entries: Sequence[Entry], count: int, meanwhile: Callable[[Served], None], say: Callable[[str], None]
) -> dict[str, Spread]:
    """Seconds until ready (`ready_s`) and until ended (`ended_s`), of so many starts one after the other. `meanwhile`
    looks at the last of them while it runs."""
    rows = []
    for number in range(count):
        with serving(entries) as served:
            say(f"ready after {served.started_in_s:.1f} s")
            if number == count - 1:
                meanwhile(served)
            ending = time.monotonic()
        rows.append({"ready_s": served.started_in_s, "ended_s": time.monotonic() - ending})
        say(f"ended after {rows[-1]['ended_s']:.1f} s")
    return spreads(rows)
