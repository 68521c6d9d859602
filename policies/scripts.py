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


_COMMON, _LOG, _LEASES = _text("common"), _text("log"), _text("leases")
# Making a function costs at every call, so what few calls need is made inside another, when it is needed: the weights'
# operations, and for `acquire` those on windows that are not plain. What is written inside is all that these use, since
# using a name from outside costs as well.
_WEIGHTS = f"local function make_weights(log_time_of, header_write, HEADER_BYTES)\n{_text('weights')}end\n"
_WINDOWS = _LOG + _WEIGHTS + _text("windows")
_MAKE_LOG = (
    f"local function make_log()\n{_COMMON}{_WINDOWS}"
    "return {open = log_open, retry_ms = log_retry_ms, append = log_append}\nend\n"
)
_MAKE_LEASES = (
    f"local function make_leases()\n{_COMMON}{_LEASES}"
    "return {open = lease_open, retry_ms = lease_retry_ms, take = lease_take}\nend\n"
)

ACQUIRE = _script("acquire", _COMMON, _LOG, _MAKE_LOG, _MAKE_LEASES)
SETTLE = _script("settle", _COMMON, _WINDOWS, _LEASES)
RENEW = _script("renew", _COMMON, _LEASES)
REMEMBER, RECALL = _script("remember"), _script("recall")
FIND = _script("find")
HISTORY = _script("history", _COMMON, _WINDOWS)
FOLLOW = _script("follow", _COMMON, _WINDOWS)
TELL, HEAR = _script("tell"), _script("hear")

CATALOGUE_WRITE = _script("catalogue_write")
CATALOGUE_IDENTIFY = _script("catalogue_identify")
CATALOGUE_STAGE, CATALOGUE_PLAN = _script("catalogue_stage"), _script("catalogue_plan")
CATALOGUE_IMPORT = _script("catalogue_import")
