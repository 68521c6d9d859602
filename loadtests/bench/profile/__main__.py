"""Profiles the replicas of Sluice and of the bare application under the same requests: three minutes.

    python -m loadtests.bench.profile              # `make profile`; writes its section of docs/benchmarks.md
    python -m loadtests.bench.profile --quick      # one short round; writes nothing

How much CPU time a reply takes is the kernel's count of every thread, while nobody looks; what for, py-spy's samples of
the same traffic right after. py-spy comes with Ray, and needs the right to look into other processes: root, or
`kernel.yama.ptrace_scope=0`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from loadtests.bench.applications import bare, body, headers, sluice
from loadtests.bench.machine import load, machine, redis_version
from loadtests.bench.profile import report
from loadtests.bench.profile.stacks import Samples, samples, shared_out
from loadtests.bench.report.page import write_section
from loadtests.bench.report.results import RESULTS
from loadtests.bench.serving import Served, redis_server, serving
from loadtests.bench.wrk import Figures, drive

CLIENTS = (1, 16)
APPLICATIONS = ("sluice", "bare")
SAMPLES_S = 250
"""Of each process."""
LEAST_SAMPLES = 200
"""Of each: from fewer nothing follows."""
SPARE_S = 4
"""Traffic goes on for so long beyond the looking: py-spy takes a while to begin."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round; writes nothing")
    options = parser.parse_args()
    rounds, seconds = (1, 2) if options.quick else (3, 5)
    with redis_server() as redis_url:
        on = machine("ray", "fastapi", "uvicorn", "py-spy", **{"redis-server": redis_version(redis_url)})
        print("starting Ray Serve", flush=True)
        with serving([sluice(redis_url), bare()]) as served:
            found = run(served, rounds, seconds)
    on["load_after"] = load()
    results = {"date": time.strftime("%Y-%m-%d"), "machine": on, "profiles": found}
    if not options.quick:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "profile.json").write_text(json.dumps(results, indent=2) + "\n")
        write_section("profile", report.section(results))
    print(f"\n{report.section(results)}")


def run(served: Served, rounds: int, seconds: float) -> dict[str, dict[str, dict[str, Any]]]:
    """By number of clients, then by application: p50 of each round, replies, and µs a reply of each replica by area."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for clients in CLIENTS:
        of_these = {name: _Profile(served, name, clients) for name in APPLICATIONS}
        for number in range(rounds):
            for each in of_these.values():
                each.round(seconds)
            print(f"{clients} clients: round {number + 1} of {rounds}", flush=True)
        found[str(clients)] = {name: each.result() for name, each in of_these.items()}
    return found


class _Profile:
    """One application under so many clients."""

    def __init__(self, served: Served, application: str, clients: int) -> None:
        self._url, self._clients = served.url(application), clients
        self._processes = {
            role: process for role, process in served.roles().items() if process in served.replicas(application)
        }
        self._cpu: dict[str, dict[int, float]] = {role: {} for role in self._processes}
        self._seen: dict[str, Samples] = {role: {} for role in self._processes}
        self._replies = 0
        self._p50_ms: list[float] = []
        self._drive(1)

    def round(self, seconds: float) -> None:
        """Counts, then looks."""
        before = {role: _threads_s(process) for role, process in self._processes.items()}
        figures = self._drive(seconds)
        for role, process in self._processes.items():
            for tid, total_s in _threads_s(process).items():
                used = self._cpu[role].get(tid, 0.0)
                self._cpu[role][tid] = used + total_s - before[role].get(tid, 0.0)
        self._replies += sum(figures.by_status.values())
        self._p50_ms.append(figures.p50_ms)
        with ExitStack() as looking:
            spies = {
                role: looking.enter_context(_spied(process.pid, seconds)) for role, process in self._processes.items()
            }
            self._drive(seconds + SPARE_S)
            raws = {role: spy() for role, spy in spies.items()}
        for role, raw in raws.items():
            for tid, areas in samples(raw).items():
                self._seen[role].setdefault(tid, Counter()).update(areas)

    def result(self) -> dict[str, Any]:
        """What was found of it, as the file of results has it."""
        counts = {role: sum(areas.total() for areas in seen.values()) for role, seen in self._seen.items()}
        for role, count in counts.items():
            busy_s = sum(self._cpu[role].values())
            if count < min(LEAST_SAMPLES, SAMPLES_S * busy_s / 4):
                raise SystemExit(f"py-spy saw {role} at work only {count} times, though it worked for {busy_s:.1f} s")
        return {
            "samples": counts,
            "p50_ms": self._p50_ms,
            "replies": self._replies,
            "cpu_us": {
                role: {
                    area: round(seconds / self._replies * 1e6, 1)
                    for area, seconds in shared_out(cpu, self._seen[role]).items()
                }
                for role, cpu in self._cpu.items()
            },
        }

    def _drive(self, seconds: float) -> Figures:
        figures = drive(self._url, body(), headers(), connections=self._clients, duration_s=seconds)
        if figures.wrong():
            raise SystemExit(f"not all replies are 200: {figures}")
        return figures


def _threads_s(process: psutil.Process) -> dict[int, float]:
    """CPU time of each thread."""
    return {each.id: each.user_time + each.system_time for each in process.threads()}


@contextmanager
def _spied(pid: int, seconds: float) -> Iterator[Callable[[], str]]:
    """py-spy looks at this process for so long; the function waits for what it saw."""
    with tempfile.TemporaryDirectory(prefix="sluice-profile-") as folder:
        out = Path(folder) / "raw"
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--output", str(out)]
        command += ["--format", "raw", "--threads", "--full-filenames", "--rate", str(SAMPLES_S)]
        command += ["--duration", str(round(seconds))]
        spy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

        def seen() -> str:
            try:  # it is to have looked while there was traffic
                said = spy.communicate(timeout=1)[1]
            except subprocess.TimeoutExpired:
                raise SystemExit(f"py-spy still looks into process {pid} after the traffic has ended") from None
            if spy.returncode:
                raise SystemExit(f"py-spy could not look into process {pid} (root may): {said.strip()}")
            return out.read_text()

        try:
            yield seen
        finally:
            spy.kill()
            spy.communicate()


if __name__ == "__main__":
    main()
