"""The Lua scripts: one file an operation under `lua/`, each put behind what they share (`lua/window.lua`)."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the SHA-1 that Redis knows it by."""

    name: str
    source: str
    sha: str


def _read(name: str) -> Script:
    folder = files("policies") / "lua"
    source = (folder / "window.lua").read_text() + (folder / f"{name}.lua").read_text()
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


ACQUIRE = _read("acquire")
SETTLE = _read("settle")
RENEW = _read("renew")
