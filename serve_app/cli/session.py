"""What every command that talks to a server has: its address, the key, and how to answer.

The key comes from the environment or a file, never from an argument: arguments of a process are seen by everybody
on the machine.
"""

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from serve_app.cli.errors import CliError, MissingKeyError
from serve_app.cli.output import Output

if TYPE_CHECKING:
    from serve_app.cli.client import Client

DEFAULT_URL = "http://127.0.0.1:8000"
KEY_VARIABLE, KEY_FILE_VARIABLE, URL_VARIABLE = "SLUICE_KEY", "SLUICE_KEY_FILE", "SLUICE_URL"

_KEY = re.compile(r"[\x21-\x7e]+")
"""What a header can carry; whether it is a key, the server says."""


class Session:
    """One command's connection, made when it is first needed, and its output."""

    def __init__(self, url: str, key_file: Path | None, *, as_json: bool) -> None:
        self.url = checked_url(url)
        self.output = Output(as_json=as_json)
        self._key_file = key_file

    @cached_property
    def client(self) -> "Client":
        """Needs a key; raises `MissingKeyError` where there is none."""
        key = read_key(self._key_file, os.environ, self.url)
        from serve_app.cli.client import Client

        return Client(self.url, key)

    def close(self) -> None:
        """Ends the connection, if there is one."""
        if "client" in self.__dict__:
            self.client.__exit__(None, None, None)


def checked_url(url: str) -> str:
    """The address, if a server can be at it."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  reading it checks it
    except ValueError as error:
        raise CliError(f"{url!r} is no address of a server: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CliError(f"{url!r} is no address of a server: write something like {DEFAULT_URL}")
    if parts.username or parts.password:
        raise CliError("the address of a server holds no user and no password: the key goes into SLUICE_KEY")
    return url


def read_key(key_file: Path | None, environ: Mapping[str, str], url: str) -> str:
    """The key: from `--key-file`, else `SLUICE_KEY`, else the file that `SLUICE_KEY_FILE` names."""
    if key_file is None and environ.get(KEY_VARIABLE, "").strip():
        return _checked(environ[KEY_VARIABLE], KEY_VARIABLE)
    named = key_file or environ.get(KEY_FILE_VARIABLE)
    if named:
        try:
            return _checked(Path(named).read_text(encoding="utf-8"), str(named))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise MissingKeyError(f"the key's file {named} cannot be read: {reason}") from error
    from serve_app.cli.client import is_loopback

    demo = ""
    if is_loopback(urlsplit(url).hostname or ""):
        demo = " The server that `make run` starts takes the demo key: export SLUICE_KEY=sk-demo-admin"
    raise MissingKeyError(f"no API key: set {KEY_VARIABLE}, or name a file that holds it with --key-file.{demo}")


def _checked(text: str, where: str) -> str:
    key = text.strip()
    if not _KEY.fullmatch(key):
        raise MissingKeyError(f"{where} does not hold an API key: one line, such as sk-<id>-<secret>, is expected")
    return key
