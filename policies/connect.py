"""From an address to a client: one Redis, the primary that Sentinel names, or a Redis Cluster.

    redis://user:password@host:6379/0          rediss://… with TLS          unix:///path.sock
    redis+sentinel://host:26379,host2:26379/primary-name        database 3: …/primary-name/3
    redis+cluster://host:6379,host2:6379       any of its nodes; they name the others

`rediss+sentinel://` and `rediss+cluster://` use TLS, to the Sentinels too. User and password are those of the Redis
servers; Sentinels with some of their own have them behind `?sentinel_username=…&sentinel_password=…`. Better than in an
address, which is shown in many places, passwords stand in files: `policies.access`.
Nothing is connected here: a client connects when it is first used.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from policies.access import RedisAccess
from policies.errors import RedisAccessError, RedisUrlError

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")

ASK_AROUND_S = 0.5
"""How long a Sentinel, or a node asked for the map of the Cluster, may take before the next one is asked."""

NO_FILES = RedisAccess()
"""Whatever is needed stands in the address."""

_SENTINEL_PORT, _CLUSTER_PORT = 26379, 6379
_SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class _Address:
    kind: str
    tls: bool
    hosts: tuple[tuple[str, int], ...] = ()
    username: str | None = None
    password: str | None = None
    primary: str = ""
    database: int = 0
    sentinel_options: tuple[tuple[str, str], ...] = ()
    unverified: tuple[str, ...] = ()
    """Options that let any server stand for the one that is meant."""

    def check(self, access: RedisAccess) -> None:
        if self.unverified:
            raise RedisAccessError(
                f"the address says {' and '.join(self.unverified)}, and the server's certificate would not be checked: "
                "leave that out, and name what vouches for the server as ca_file"
            )
        if self.sentinel_options and access.sentinel_password_file is not None:
            raise RedisAccessError(
                "the address holds a user or a password of the Sentinels, and so does sentinel_password_file: "
                "leave them out of the address"
            )
        access.check(
            tls=self.tls,
            sentinel=self.kind == "sentinel",
            in_address=self.username is not None or self.password is not None,
        )


class _SentinelRedis(Redis):
    """The primary that Sentinel names. Closes its connections to the Sentinels with its own."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        pool = self.connection_pool
        if isinstance(pool, SentinelConnectionPool):
            await pool.sentinel_manager.aclose()


def connect(url: str, *, timeout_s: float | None = None, access: RedisAccess = NO_FILES) -> Redis | RedisCluster:
    """A client for the Redis at `url`. Raises `RedisUrlError` where the address cannot be understood, and
    `RedisAccessError` where `access` does not fit it or names a file that cannot be used.

    `timeout_s`: how long one command may take, for those who send commands through the client; none is sent twice.
    The limiter uses the connections directly and has deadlines of its own.
    """
    address = _parse(url)
    address.check(access)
    bounded: dict[str, Any] = {}
    if timeout_s is not None:
        bounded = {"socket_timeout": timeout_s, "retry": Retry(NoBackoff(), 0)}
    credentials: dict[str, Any] = access.credentials() or {"username": address.username, "password": address.password}
    files = access.tls()
    tls: dict[str, Any] = {"ssl": True, **files} if address.tls else {}
    if address.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        return RedisCluster(
            startup_nodes=nodes,
            **credentials,
            **tls,
            **{"socket_timeout": ASK_AROUND_S, **bounded},
            socket_connect_timeout=ASK_AROUND_S,
        )
    if address.kind == "sentinel":
        asked = {name.removeprefix("sentinel_"): value for name, value in address.sentinel_options}
        sentinel = Sentinel(  # type: ignore[no-untyped-call] # the driver has no types for it
            address.hosts,
            sentinel_kwargs={
                "socket_timeout": ASK_AROUND_S,
                "socket_connect_timeout": ASK_AROUND_S,
                "retry": Retry(NoBackoff(), 0),  # the next one is asked instead
                **asked,
                **access.sentinel_credentials(),
                **tls,
            },
        )
        client: Redis = sentinel.master_for(
            address.primary,
            redis_class=_SentinelRedis,
            db=address.database,
            socket_connect_timeout=ASK_AROUND_S,
            **credentials,
            **tls,
            **bounded,
        )
        return client
    return Redis.from_url(url, **access.credentials(), **files, **bounded)


def check_url(url: str) -> None:
    """Raises `RedisUrlError` where `connect` would."""
    _parse(url)


def check_access(url: str, access: RedisAccess) -> None:
    """Raises `RedisAccessError` where `access` does not fit the address. No file is looked at: they may lie on other
    machines."""
    _parse(url).check(access)


def holds_password(url: str) -> bool:
    """Whether the address itself holds a password."""
    address = _parse(url)
    return address.password is not None or any(name == "sentinel_password" for name, _ in address.sentinel_options)


def _parse(url: str) -> _Address:
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme not in SCHEMES:
        raise RedisUrlError(f"{_shown(url)} is not the address of a Redis: {_known()}")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _wrong(url, "brackets that do not match") from None
    kind = scheme.partition("+")[2]
    if not kind:
        try:
            asked = Redis.from_url(url).connection_pool.connection_kwargs
        except ValueError:  # its words may hold a part of the password
            raise _wrong(url, "a port or an option that is not understood") from None
        if scheme != "unix" and not parts.hostname:
            raise _wrong(url, "no host")
        unverified = (
            *(["ssl_cert_reqs"] if asked.get("ssl_cert_reqs", "required") != "required" else []),
            *(["ssl_check_hostname"] if asked.get("ssl_check_hostname", True) is not True else []),
        )
        username, password = asked.get("username"), asked.get("password")
        return _Address("", scheme == "rediss", username=username, password=password, unverified=unverified)
    userinfo, at, hosts = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    default_port = _SENTINEL_PORT if kind == "sentinel" else _CLUSTER_PORT
    address = _Address(
        kind,
        scheme.startswith("rediss"),
        tuple(_host(url, host, default_port) for host in hosts.split(",")),
        unquote(username) or None if at else None,
        unquote(password) or None if at else None,
    )
    path = [unquote(part) for part in parts.path.split("/")[1:] if part]
    options = parse_qsl(parts.query, keep_blank_values=True)
    accepted = _SENTINEL_OPTIONS if kind == "sentinel" else ()
    for name, _ in options:
        if name not in accepted:
            raise _wrong(url, f"an option {name!r}; accepted: {', '.join(accepted) or 'none'}")
    if kind == "cluster":
        if path and path != ["0"]:
            raise _wrong(url, "a database; a Redis Cluster has only one")
        return address
    if not path:
        raise _wrong(url, "no name of the primary: write redis+sentinel://host:26379/primary-name")
    if len(path) > 2 or (len(path) == 2 and not path[1].isdecimal()):
        raise _wrong(url, "more behind the primary's name than the number of a database")
    return _Address(
        kind,
        address.tls,
        address.hosts,
        address.username,
        address.password,
        path[0],
        int(path[1]) if len(path) == 2 else 0,
        tuple(options),
    )


def _host(url: str, text: str, default_port: int) -> tuple[str, int]:
    host, bracket, rest = text.removeprefix("[").partition("]") if text.startswith("[") else (text, "", "")
    if bracket:
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = text.partition(":")
    if not host or (colon not in ("", ":")) or (bracket and rest and not colon):
        raise _wrong(url, "an empty host")
    if colon and not (port.isdecimal() and 0 < int(port) < 65_536):
        raise _wrong(url, "a port that is not a number from 1 to 65535")
    return host, int(port) if colon else default_port


def _wrong(url: str, what: str) -> RedisUrlError:
    return RedisUrlError(f"{_shown(url)} has {what}; {_known()}")


def _shown(url: str) -> str:
    """The address without what may be secret: whatever stands before its last @, and its options."""
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    rest, _, options = rest.partition("?")
    if "@" in options or ("@" not in rest and rest.startswith(":")):  # a password with a ? in it, or one without a host
        rest = "…"
    return repr(f"{scheme}{separator}{rest.rpartition('@')[2]}")


def _known() -> str:
    return (
        "accepted are redis://host:6379/0, rediss://… (TLS), unix:///path.sock, "
        "redis+sentinel://host:26379,host2:26379/primary-name and redis+cluster://host:6379"
    )
