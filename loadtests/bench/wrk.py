"""Drives HTTP with wrk, a client written in C, so that the client is not the bottleneck.

Each connection asks again as soon as it is answered. What is sent and counted is in `wrk.lua`, beside this file. A
streamed reply counts when it is whole; requests under way when time is up count nowhere.
"""

import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_suffix(".lua")
END_OF_STREAM = "data: [DONE]\n\n"
"""How a whole stream of OpenAI's ends; for `drive(…, ending=…)`."""

TIMEOUT_S = 30
"""A reply that took longer counts as timed out once it comes. wrk has no count of those that never come."""

_MARK = "figures: "


class WrkError(Exception):
    """wrk cannot be run, or said nothing that can be read."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run of wrk found."""

    requests_s: float
    """Replies a second, whatever their status: look at `by_status` too."""
    p50_ms: float
    p99_ms: float
    """From sending a request to its whole reply, as measured: what wrk adds to it by guess is taken off."""
    by_status: dict[int, int]
    """Replies by HTTP status."""
    errors: int = 0
    """Connections that could not be opened or broke, and requests that were answered after more than `TIMEOUT_S`."""
    cut_short: int = 0
    """Replies with status 200 that do not end as they should."""
    mean_ms: float = 0.0
    max_ms: float = 0.0
    bytes_s: float = 0.0
    """Received, headers included."""
    sample: str = ""
    """Beginning of the first reply with a status of 500 or more: what went wrong."""

    def wrong(self, expected: int = 200) -> int:
        """Requests that did not end with a whole reply of this status."""
        others = sum(count for status, count in self.by_status.items() if status != expected)
        return others + self.errors + self.cut_short

    def right_s(self, expected: int = 200) -> float:
        """Whole replies of this status a second."""
        replies = sum(self.by_status.values())
        return self.requests_s * (self.by_status.get(expected, 0) - self.cut_short) / replies if replies else 0.0


def drive(
    url: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    connections: int,
    duration_s: float,
    ending: str = "",
    threads: int = 1,
    script: Path = SCRIPT,
    environment: Mapping[str, str] | None = None,
) -> Figures:
    """So many clients for so long; wrk knows whole seconds only. With a body each request is a POST of it as JSON,
    unless `headers` say what else it is. `ending`: of every whole reply.
    `script` and `environment`: another one in Lua, built on ours, and what it reads."""
    program = shutil.which("wrk")
    if program is None:
        raise WrkError("there is no wrk on PATH, the client that measures: install it, as with `apt install wrk`")
    seconds = max(1, math.ceil(duration_s))
    sent = {**({"Content-Type": "application/json"} if body else {}), **(headers or {})}
    command = [
        program,
        f"-t{min(threads, connections)}",
        f"-c{connections}",
        f"-d{seconds}s",
        f"--timeout={TIMEOUT_S}s",
    ]
    command += [f"-s{script}", *(f"-H{name}: {value}" for name, value in sent.items()), url]
    passed = {**os.environ, **(environment or {}), "BENCH_BODY": body or "", "BENCH_ENDING": ending}
    passed["BENCH_CONNECTIONS"] = str(connections)
    try:
        ran = subprocess.run(
            command, env=passed, capture_output=True, text=True, timeout=seconds + TIMEOUT_S + 10, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WrkError(f"wrk did not end within {error.timeout:g} s: {url}") from error
    if ran.returncode != 0:
        raise WrkError(f"wrk failed on {url} (exit status {ran.returncode}): {(ran.stderr or ran.stdout).strip()}")
    return parse(ran.stdout)


def parse(output: str) -> Figures:
    """The figures in what wrk printed."""
    line = next((line for line in output.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        raise WrkError(f"wrk printed no figures: {output.strip()[-500:]!r}")
    found = json.loads(line.removeprefix(_MARK))
    if found["timed"] > found["requests"]:
        raise WrkError(
            f"{found['timed']} times of {found['requests']} replies: what this wrk adds is not what 4.1 does"
        )
    took_s = found["took_us"] / 1e6
    return Figures(
        requests_s=found["requests"] / took_s,
        p50_ms=found["p50_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
        by_status={int(status): count for status, count in sorted(found["by_status"].items())},
        errors=found["errors"] + found["timeouts"],
        cut_short=found["cut_short"],
        mean_ms=found["mean_us"] / 1000,
        max_ms=found["max_us"] / 1000,
        bytes_s=found["bytes"] / took_s,
        sample=found["sample"],
    )
