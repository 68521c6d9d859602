"""wrk, a load generator in C: so that what is measured is the server and not its client.

A client of wrk asks again as soon as it has its whole answer. A streamed answer counts when its last byte is there.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """
wrk.method, wrk.body = "POST", %(body)s
%(headers)s
done = function(summary, latency, requests)
  io.write(string.format(
    '\\nFIGURES {"requests":%%d,"duration_us":%%d,"p50_us":%%d,"p99_us":%%d,"non_2xx":%%d,"broken":%%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one round found."""

    requests: int
    duration_s: float
    p50_ms: float
    p99_ms: float
    non_2xx: int
    """Answers of 400 and above."""
    broken: int
    """Connections that failed, and answers that never came."""

    @property
    def requests_s(self) -> float:
        return self.requests / self.duration_s


def drive(
    url: str, body: str, headers: Mapping[str, str], *, connections: int, duration_s: float, timeout_s: float = 10
) -> Figures:
    """Posts `body` to `url` over so many connections for so long.

    Raises `SystemExit` where wrk is not installed, and `RuntimeError` where it does not run.
    """
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: `apt install wrk` (Debian, Ubuntu) or `brew install wrk`")
    lines = "\n".join(f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in headers.items())
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "request.lua"
        script.write_text(_SCRIPT % {"body": _lua(body), "headers": lines})
        done = subprocess.run(
            [
                *("wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{duration_s:g}s"),
                *("--timeout", f"{timeout_s:g}s", "--script", str(script), url),
            ],
            capture_output=True,
            text=True,
            timeout=duration_s + timeout_s + 30,
        )
    return parse(done.stdout, done.stderr)


def parse(output: str, errors: str = "") -> Figures:
    """What `done` of the script wrote."""
    told = next((line for line in output.splitlines() if line.startswith("FIGURES ")), None)
    if told is None:
        raise RuntimeError(f"wrk failed: {(errors or output).strip()[-500:]}")
    found = json.loads(told.removeprefix("FIGURES "))
    return Figures(
        found["requests"],
        found["duration_us"] / 1e6,
        found["p50_us"] / 1e3,
        found["p99_us"] / 1e3,
        found["non_2xx"],
        found["broken"],
    )


def _lua(text: str) -> str:
    """A literal. Lua knows fewer escapes than JSON, so everything odd is written as decimal bytes."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'
