"""What a thread was doing: stacks as py-spy writes them (`--format raw --threads --full-filenames`), by area of code.

A line is `thread (TID): name;outermost (path:line);…;innermost (path:line) COUNT`. Of each stack the innermost frame
counts that is not Python's own library: what `json` or `asyncio` does is done for whoever called it. Extensions have no
frames, so theirs is their callers' too. Only threads that were running are in there.
"""

import re
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from loadtests.bench.report.results import ROOT

LOOP = "event loop and sockets (asyncio, uvloop)"
NATIVE = "threads without Python (Ray's core)"
APPLICATION = "the application's own code"
_PACKAGES = {
    "ray": "Ray Serve and Ray",
    "uvicorn": "HTTP (uvicorn, httptools)",
    "fastapi": "FastAPI and Starlette",
    "starlette": "FastAPI and Starlette",
    "pydantic": "pydantic",
}
_OURS = {
    "policies": "limits (`policies/`)",
    "deployments": APPLICATION,
    "serve_app": APPLICATION,
    "loadtests": APPLICATION,
}
_THREAD = re.compile(r"thread \((\d+)\)")
_PATH = re.compile(r"\((.+):\d+\)$")
_LIBRARY = sysconfig.get_paths()["stdlib"]

Samples = dict[int, Counter[str]]
"""Of each thread, how often it was seen in which area."""


def samples(raw: str) -> Samples:
    """What py-spy wrote."""
    found: Samples = defaultdict(Counter)
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        tid = _THREAD.match(thread)
        if tid is None:
            raise ValueError(f"not a line of py-spy's raw format with threads: {line!r}")
        found[int(tid[1])][area(frames)] += int(count)
    return dict(found)


def area(frames: list[str]) -> str:
    """Of a stack, outermost first."""
    for frame in reversed(frames):
        path = _PATH.search(frame)
        if path is not None and (named := _area_of_file(path[1])):
            return named
    return LOOP


def _area_of_file(path: str) -> str:
    """Empty for Python's own library, and for what is no file."""
    _, installed, inside = path.rpartition("/site-packages/")
    if installed:
        package = inside.split("/")[0].removesuffix(".py")
        return _PACKAGES.get(package, package)
    if path.startswith(_LIBRARY) or not Path(path).is_relative_to(ROOT):
        return ""
    return _OURS.get(Path(path).relative_to(ROOT).parts[0], "")


def shared_out(cpu_s: Mapping[int, float], seen: Samples) -> dict[str, float]:
    """The CPU time of each thread, in seconds, by area: as its samples lie. A thread without any runs no Python."""
    found: defaultdict[str, float] = defaultdict(float)
    for tid, seconds in cpu_s.items():
        areas = seen.get(tid)
        if not areas:
            found[NATIVE] += seconds
            continue
        for name, count in areas.items():
            found[name] += seconds * count / areas.total()
    return dict(found)
