"""The Lua scripts: one file an operation under `lua/`, behind the files that it builds on."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the SHA-1 that Redis knows it by."""

    name: str
    source: str
    sha: str
    wire: bytes
    """How a call of it begins, as the Redis protocol writes it."""


def _text(name: str) -> str:
    return (files("policies") / "lua" / f"{name}.lua").read_text()


def _script(name: str, *parts: str) -> Script:
    source = "".join((*parts, _text(name)))
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, sha, b"$7\r\nEVALSHA\r\n$40\r\n%b\r\n" % sha.encode())


_COMMON, _LEASES = _text("common"), _text("leases")
# The weights' functions are made inside this one, when a weighted window is met: making them costs at every call.
_LOG = f"local function make_weights(log_time_of, header_write, HEADER_BYTES)\n{_text('weights')}end\n{_text('log')}"

ACQUIRE = _script("acquire", _COMMON, _LOG, _LEASES)
SETTLE = _script("settle", _COMMON, _LOG, _LEASES)
RENEW = _script("renew", _COMMON, _LEASES)
REMEMBER, RECALL = _script("remember"), _script("recall")
FIND = _script("find")
HISTORY = _script("history", _COMMON, _LOG)
FOLLOW = _script("follow", _COMMON, _LOG)
TELL, HEAR = _script("tell"), _script("hear")

CATALOGUE_WRITE = _script("catalogue_write")
CATALOGUE_IDENTIFY = _script("catalogue_identify")
CATALOGUE_STAGE, CATALOGUE_PLAN = _script("catalogue_stage"), _script("catalogue_plan")
CATALOGUE_IMPORT = _script("catalogue_import")
