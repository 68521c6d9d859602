"""`make load`: lists the scenarios, or runs one without a browser and says PASS or FAIL.

    python -m loadtests.scenarios                                   # what there is
    python -m loadtests.scenarios edge_burst                        # against the server that answers, or one of its own
    python -m loadtests.scenarios edge_burst --processes 2 -t 20s   # further options are Locust's

The exit status is 0 for PASS, 1 for FAIL, 2 where the scenario could not be run.
"""

import argparse
import ast
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from loadtests.scenarios.kit.report import KINDS, forget
from loadtests.scenarios.kit.server import server
from loadtests.scenarios.kit.tenants import ServerError, require_loopback
from loadtests.sluice_up import ROOT
from serve_app.processes import dies_with_parent

FOLDER = Path(__file__).parent
REPORTS = FOLDER.parent / "reports"

ENDING_S = 30.0
"""How long Locust may take to end when it is interrupted."""


def scenarios() -> dict[str, str]:
    """Each with what the first sentence of its file says of it."""
    found = {}
    for path in sorted(FOLDER.glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        found[path.stem] = text.split("\n\n")[0].replace("\n", " ").partition(": ")[2]
    return found


def command(name: str, host: str, further: Sequence[str]) -> list[str]:
    """Locust's command line."""
    return [
        *(sys.executable, "-m", "locust", "-f", str(FOLDER / f"{name}.py"), "--headless", "--host", host),
        *("--only-summary", "--loglevel", "WARNING", "--reports", str(REPORTS)),
        *("--html", str(REPORTS / f"{name}.html"), "--json-file", str(REPORTS / f"{name}.locust")),
        *further,
    ]


def run(line: Sequence[str]) -> int:
    """Runs it to its end, which it comes to by itself (`kit.play`), and gives its exit status. It has a group of its
    own, so Ctrl-C comes to us alone."""
    process = subprocess.Popen(
        dies_with_parent(line, signal.SIGINT), cwd=ROOT, stdin=subprocess.DEVNULL, process_group=0
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.scenarios", description="Load tests. Options that are not listed here are Locust's."
    )
    parser.add_argument("scenario", nargs="?", help="which one; leave it out to see all")
    parser.add_argument(
        "--host", default="", help="the server; 'own' starts one; by default the one on port 8000, or else its own"
    )
    parser.add_argument("--beyond-loopback", action="store_true", help="send load to another machine than this one")
    options, further = parser.parse_known_args(arguments)
    known = scenarios()
    if not options.scenario:
        width = max(map(len, known))
        print("make load SCENARIO=…\n", *(f"  {name:{width}}  {what}" for name, what in known.items()), sep="\n")
        return 0
    if options.scenario not in known:
        print(f"no scenario {options.scenario!r}: {', '.join(known)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)  # as Ctrl-C: whatever was started is ended
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        if options.host not in ("", "own"):
            require_loopback(options.host, options.beyond_loopback)
        forget(options.scenario, REPORTS)
        with server(options.host) as (host, log):
            beyond = ["--beyond-loopback"] if options.beyond_loopback else []
            code = run(command(options.scenario, host, [*beyond, *further]))
            if code and log:  # which goes with its server
                REPORTS.mkdir(parents=True, exist_ok=True)
                shutil.copy(log, REPORTS / f"{options.scenario}.server.log")
    except ServerError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 1
    if made := [kind for kind in KINDS if (REPORTS / f"{options.scenario}{kind}").exists()]:
        print(f"reports: {(REPORTS / options.scenario).relative_to(ROOT)}{', '.join(made)}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
