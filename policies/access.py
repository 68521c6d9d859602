"""How a client proves itself to Redis, and Redis to it, out of files: no address, command line or configuration file
has to hold a password.

`policies.connect` makes clients with it. Passwords are read anew for each connection, so one that was changed (a Secret
that Kubernetes mounts, and renews in place) is used by the next connection, without a restart.
"""

import ssl
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError

from policies.errors import RedisAccessError

MOST_PASSWORD_BYTES = 4_096
"""A larger file is no password: somebody named the wrong one."""


@dataclass(frozen=True, slots=True)
class RedisAccess:
    """Names and files; everything may be left out. Nothing is read before a client is made."""

    username: str | None = None
    """ACL user of the Redis servers; `default` where there is a password and no name."""
    password_file: Path | None = None
    """Holds that user's password, in UTF-8; one line break at its end does not count."""
    sentinel_username: str | None = None
    sentinel_password_file: Path | None = None
    """The same for the Sentinels, where they have users of their own."""
    ca_file: Path | None = None
    """Certificates (PEM) of those who may vouch for the servers; the system's where absent. Needs TLS."""
    cert_file: Path | None = None
    key_file: Path | None = None
    """This client's own certificate and its key (PEM, without a passphrase), for servers that ask for one."""

    def check(self, *, tls: bool, sentinel: bool, in_address: bool) -> None:
        """Raises `RedisAccessError` where this does not fit the address. `in_address`: it names a user or password."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Path) and not value.is_absolute():
                raise RedisAccessError(
                    f"{each.name} is {str(value)!r}, which depends on where a process was started: "
                    "write the whole path, from /"
                )
        for name in ("ca_file", "cert_file", "key_file"):
            if getattr(self, name) is not None and not tls:
                raise RedisAccessError(
                    f"{name} is for TLS, and the address has none: write rediss://… (rediss+sentinel://…, "
                    "rediss+cluster://…), or remove it"
                )
        if (self.cert_file is None) != (self.key_file is None):
            there, missing = ("cert_file", "key_file") if self.key_file is None else ("key_file", "cert_file")
            raise RedisAccessError(f"{there} is there without {missing}: a certificate goes with its key, so name both")
        for name in ("sentinel_username", "sentinel_password_file"):
            if getattr(self, name) is not None and not sentinel:
                raise RedisAccessError(f"{name} is for redis+sentinel:// and rediss+sentinel://: remove it")
        for prefix in ("", "sentinel_"):
            if getattr(self, f"{prefix}username") is not None and getattr(self, f"{prefix}password_file") is None:
                raise RedisAccessError(f"{prefix}username is there without {prefix}password_file: name both")
        if in_address and (self.username is not None or self.password_file is not None):
            raise RedisAccessError(
                "the address holds a user or a password, and so do username or password_file: "
                "leave them out of the address"
            )

    def credentials(self) -> dict[str, Any]:
        """What a client of the servers is made with. Raises `RedisAccessError` where a file cannot be used."""
        return _provided(self.username, self.password_file)

    def sentinel_credentials(self) -> dict[str, Any]:
        """The same for the Sentinels."""
        return _provided(self.sentinel_username, self.sentinel_password_file)

    def tls(self) -> dict[str, Any]:
        """What a client of a server with TLS is made with beside `ssl`. Raises `RedisAccessError` as above."""
        if self.ca_file is not None:
            _try("ca_file", self.ca_file, lambda: ssl.create_default_context(cafile=str(self.ca_file)))
        if self.cert_file is not None and self.key_file is not None:
            certificate, key = str(self.cert_file), str(self.key_file)
            context = ssl.create_default_context()
            # Without an answer OpenSSL would ask whoever started this process for a passphrase.
            _try(
                "cert_file and key_file",
                f"{certificate}, {key}",
                lambda: context.load_cert_chain(certificate, key, password=""),
            )
        named = {"ssl_ca_certs": self.ca_file, "ssl_certfile": self.cert_file, "ssl_keyfile": self.key_file}
        return {name: str(path) for name, path in named.items() if path is not None}


class PasswordFile(CredentialProvider):
    """Reads the password when a connection is made."""

    def __init__(self, username: str | None, path: Path) -> None:
        self._username, self._path = username, path

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """(user, password), or the password alone. Raises the driver's `AuthenticationError`."""
        try:
            password = read_password(self._path)
        except RedisAccessError as error:
            raise AuthenticationError(str(error)) from error
        return (password,) if self._username is None else (self._username, password)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same: a small file of this machine is read at once."""
        return self.get_credentials()


def read_password(path: Path) -> str:
    """What the file holds, less one line break at its end. Raises `RedisAccessError`, which never shows it."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_PASSWORD_BYTES + 1)
    except OSError as error:
        raise RedisAccessError(f"the password file {path} cannot be read: {error.strerror}") from None
    if len(raw) > MOST_PASSWORD_BYTES:
        raise RedisAccessError(
            f"the password file {path} has more than {MOST_PASSWORD_BYTES} bytes: is it the right one?"
        )
    try:
        password = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:  # its words would show a part of the password
        raise RedisAccessError(f"the password file {path} is not UTF-8 text") from None
    if not password:
        raise RedisAccessError(f"the password file {path} is empty: write the password into it")
    if "\n" in password:
        raise RedisAccessError(f"the password file {path} has several lines: it may hold the password alone")
    return password


def _provided(username: str | None, path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    read_password(path)  # said now, and not by every connection
    return {"credential_provider": PasswordFile(username, path)}


def _try(what: str, path: object, load: Any) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise RedisAccessError(f"{what} ({path}) cannot be used for TLS: {error.reason or error}") from None
    except OSError as error:
        raise RedisAccessError(f"{what} ({path}) cannot be read: {error.strerror}") from None
