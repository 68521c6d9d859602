"""`make bench`: every part, one after the other, then the page.

    python -m loadtests.bench                       # all of it: about half an hour
    python -m loadtests.bench --quick               # each part briefly, to see that it runs; keeps nothing
    python -m loadtests.bench --only limiter,chain

A part is a module below, run as a program of its own: it says how far it is, writes `loadtests/results/<part>.json` and
its section of docs/benchmarks.md. The table at the head of that page is made here, of all that is kept, once there is
something of every part. Nothing else should run on the machine meanwhile.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec

from loadtests.bench.machine import described
from loadtests.bench.report.page import write_section
from loadtests.bench.report.results import ROOT, read
from loadtests.bench.report.tables import table
from loadtests.bench.report.targets import from_json, targets_table
from serve_app.processes import dies_with_parent

PARTS = {
    "limiter": "the limiter beside others",
    "chain": "the whole chain beside a bare Ray Serve application",
    "gateway": "the whole chain beside LiteLLM's proxy",
    "costs": "start-up, memory, the live feed",
    "growth": "by policies, keys, entries in the log, ingress replicas",
}
"""In the order in which they run."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each part briefly; keeps nothing")
    parser.add_argument("--only", default="", help=f"parts, with commas: {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=1, help="how often; the last three of each part are kept")
    options = parser.parse_args()
    wanted = [name for name in options.only.split(",") if name] or [name for name in PARTS if exists(name)]
    for name in wanted:
        if name not in PARTS or not exists(name):
            parser.error(f"--only: there is no part {name!r}; there are {', '.join(filter(exists, PARTS))}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    failed = []
    for number in range(options.runs):
        for name in wanted:
            print(f"\n==> {name}: {PARTS[name]} (run {number + 1} of {options.runs})", flush=True)
            if not run(name, quick=options.quick):
                failed.append(name)
    if not options.quick:
        print(f"\n{summary()}")
        if lacking := [name for name in PARTS if exists(name) and not read(name)]:
            print(
                f"\nThe table at the head of docs/benchmarks.md stays as it is: no results of {', '.join(lacking)} here"
            )
        else:
            write_section("all", summary())
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")
    if not options.quick and (wrong := inexact(wanted)):
        raise SystemExit(f"not exact: {'; '.join(wrong)}")


def exists(part: str) -> bool:
    """Whether there is such a module."""
    try:
        return find_spec(f"loadtests.bench.{part}.__main__") is not None
    except ModuleNotFoundError:
        return False


def inexact(parts: Sequence[str]) -> list[str]:
    """Targets that allow no more and no less, and were missed in the last run. How fast something is, is told only."""
    targets = [(name, from_json(each)) for name in parts for each in read(name).get("targets", [])]
    return [
        f"{name}: {each.what} {each.sign} {each.goal:g}, found {each.figure:g}"
        for name, each in targets
        if each.sign == "=" and not each.reached
    ]


def run(part: str, *, quick: bool) -> bool:
    """One part, to its end; whether it ended well."""
    began = time.monotonic()
    command = [sys.executable, "-m", f"loadtests.bench.{part}", *(["--quick"] if quick else [])]
    # A group of its own, so that an interrupt comes to it once, from here: it takes away what it has started, and we
    # wait for that.
    process = subprocess.Popen(
        dies_with_parent(command, signal.SIGINT), cwd=ROOT, stdin=subprocess.DEVNULL, process_group=0
    )
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise SystemExit("interrupted") from None
    print(
        f"==> {part}: {'done' if status == 0 else f'exit status {status}'}, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return status == 0


def summary() -> str:
    """All that must be reached, part by part, with the machine named."""
    parts = []
    for name, says in PARTS.items():
        results = read(name)
        if "targets" not in results:
            continue
        parts += [
            f"**{says[0].upper()}{says[1:]}** ({results['date']}; {described(results['machine'])})",
            targets_table([from_json(each) for each in results["targets"]], results["runs"]),
        ]
    return "\n\n".join(parts) or table(("what", "must reach", "this run"), ())


if __name__ == "__main__":
    main()
