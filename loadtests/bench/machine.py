"""Names the machine that something was measured on: without it a figure says nothing."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine(*packages: str, **programs: str) -> dict[str, Any]:
    """To be asked before anything is measured. `packages`: whose versions matter, besides Python's; `programs`: the
    versions of what is no Python package, as in `redis="7.0.15"`."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "load_before": load(),
        "versions": {"Python": platform.python_version(), **programs, **{name: version(name) for name in packages}},
    }


def processor() -> str:
    """What it calls itself."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def load() -> float:
    """Load average of the last minute."""
    return round(os.getloadavg()[0], 1)


def described(found: dict[str, Any]) -> str:
    """In words, as tables are headed with it; `load_after` is told where it is known."""
    after = f" before and {found['load_after']} after" if "load_after" in found else ""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return f"{found['cores']} cores of {found['processor']}, load average {found['load_before']}{after}, {versions}"
