"""How long a start takes until every application answers, and an end until nothing is left."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loadtests.bench.applications import Entry
from loadtests.bench.report.spreads import spreads
from loadtests.bench.serving import Served, serving

Meanwhile = Callable[[Served], Any]


def measured(
    applications: Mapping[str, Sequence[Entry]],
    rounds: int,
    meanwhile: Mapping[str, Meanwhile],
    say: Callable[[str], None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Starts each by `sluice up` in turn, with nothing running beside it: seconds until ready and until ended. In the
    last round of each, `meanwhile` looks at what runs; its findings are the second part."""
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in applications}
    seen = {}
    for number in range(rounds):
        for name, entries in applications.items():
            with serving(entries) as served:
                ready_s = served.started_in_s
                if number == rounds - 1:
                    seen[name] = meanwhile[name](served)
                ending = time.monotonic()
            ended_s = time.monotonic() - ending
            seconds[name].append({"ready_s": ready_s, "ended_s": ended_s})
            say(f"{name}: ready after {ready_s:.1f} s, ended after {ended_s:.1f} s")
    return {name: spreads(each) for name, each in seconds.items()}, seen
