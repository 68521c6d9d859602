"""Which server a scenario runs against: one that is named, the one that answers already, or one of its own.

Its own is `sluice up` with the scenarios' serve_config.yaml, on a free port, with all of its files in a folder that
goes with it. It ends with us, however we end.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from loadtests.scenarios.kit.tenants import ServerError
from loadtests.sluice_up import end, free_port, started

CONFIG = Path(__file__).parent.parent / "serve_config.yaml"
USUAL = "http://127.0.0.1:8000"
"""Where `make run` listens."""

OWN = "own"
"""Stands for the host where a server of one's own is wanted, whatever answers elsewhere."""

START_S = 240.0
"""A start takes 30 to 50 s on two idle cores."""

ENOUGH_LOG = 3_000


@contextmanager
def server(host: str) -> Iterator[tuple[str, Path | None]]:
    """The address of the server, and the log of one of our own, which is ended afterwards. `host`: an address, `own`,
    or '' for the usual one if it answers and else our own."""
    if host and host != OWN:
        yield host, None
    elif not host and is_ready(USUAL):
        print(f"using the server that answers at {USUAL} (HOST={OWN} starts one for the load test)", flush=True)
        yield USUAL, None
    else:
        with _own() as own:
            yield own


def is_ready(host: str) -> bool:
    """Whether a Sluice answers there and can serve."""
    try:
        reply = httpx.get(f"{host}/readyz", timeout=2)
        return reply.status_code == 200 and "status" in reply.json()
    except (httpx.HTTPError, ValueError):
        return False


@contextmanager
def _own() -> Iterator[tuple[str, Path]]:
    with tempfile.TemporaryDirectory(prefix="sluice-load-") as name:
        folder, port = Path(name), free_port()
        config = yaml.safe_load(CONFIG.read_text())
        config["http_options"]["port"] = port
        config["applications"][0]["args"]["state_dir"] = str(folder / "state")
        print(f"starting a server for the load test on port {port} (half a minute)", flush=True)
        process = started(config, folder)
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", process, folder / "log")
            yield f"http://127.0.0.1:{port}", folder / "log"
        finally:
            end(process)


def _wait_until_ready(host: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + START_S
    while not is_ready(host):
        if process.poll() is not None or time.monotonic() > give_up:
            raise ServerError(f"the server did not start:\n{log.read_text()[-ENOUGH_LOG:]}")
        time.sleep(0.5)
