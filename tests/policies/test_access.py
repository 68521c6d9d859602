"""Passwords and certificates out of files: what is refused, and a real Redis with TLS and passwords behind each kind of
address."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis.exceptions import AuthenticationError

from policies import Charge, Limiter, RateLimitPolicy
from policies.access import PasswordFile, RedisAccess, read_password
from policies.connect import check_access, connect, holds_password
from policies.errors import RedisAccessError, StoreUnavailableError
from tests.policies.certificates import Authority
from tests.policies.redis_server import RedisServer
from tests.policies.secured_redis import USER, SecuredRedis, has_tls

POLICY = RateLimitPolicy(name="burst", scope="TENANT", limit=2, window="1m")
FILE = Path("/run/secret")

ADDRESS, TLS, SENTINEL, WITH_USER = "redis://h", "rediss://h", "redis+sentinel://h/main", "redis://u@h"


@pytest.mark.parametrize(
    ("url", "access", "message"),
    [
        (ADDRESS, {"password_file": Path("secret")}, "password_file is 'secret', which depends on where"),
        (ADDRESS, {"ca_file": FILE}, "ca_file is for TLS, and the address has none"),
        ("unix:///s", {"cert_file": FILE, "key_file": FILE}, "cert_file is for TLS"),
        (TLS, {"cert_file": FILE}, "cert_file is there without key_file"),
        (TLS, {"key_file": FILE}, "key_file is there without cert_file"),
        (TLS, {"sentinel_password_file": FILE}, "sentinel_password_file is for redis+sentinel://"),
        (ADDRESS, {"username": "u"}, "username is there without password_file"),
        (SENTINEL, {"sentinel_username": "u"}, "sentinel_username is there without sentinel_password_file"),
        ("rediss://h?ssl_cert_reqs=none", {}, "would not be checked"),
        ("rediss://h?ssl_cert_reqs=optional", {}, "would not be checked"),
        ("rediss://h?ssl_check_hostname=no", {}, "would not be checked"),
        (WITH_USER, {"password_file": FILE}, "leave them out of the address"),
        ("redis://:hush@h", {"password_file": FILE}, "leave them out of the address"),
        ("unix:///s?password=hush", {"password_file": FILE}, "leave them out of the address"),
        ("redis+cluster://:hush@h", {"password_file": FILE}, "leave them out of the address"),
        (
            "redis+sentinel://h/main?sentinel_password=hush",
            {"sentinel_password_file": FILE},
            "leave them out of the address",
        ),
    ],
)
def test_what_does_not_fit_is_refused(url: str, access: dict[str, Any], message: str) -> None:
    with pytest.raises(RedisAccessError) as told:
        check_access(url, RedisAccess(**access))
    assert message in str(told.value)
    assert "hush" not in str(told.value)
    with pytest.raises(RedisAccessError):
        connect(url, access=RedisAccess(**access))


@pytest.mark.parametrize(
    ("url", "access"),
    [
        (ADDRESS, {}),
        (WITH_USER, {}),
        (ADDRESS, {"username": "u", "password_file": FILE}),
        ("rediss+cluster://h", {"password_file": FILE, "ca_file": FILE, "cert_file": FILE, "key_file": FILE}),
        ("rediss+sentinel://h/main", {"sentinel_username": "u", "sentinel_password_file": FILE, "ca_file": FILE}),
    ],
)
def test_what_fits_is_accepted_without_a_look_at_the_files(url: str, access: dict[str, Any]) -> None:
    assert not FILE.exists()
    check_access(url, RedisAccess(**access))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hush\nhush\n", "has several lines"),
        (b"hush\xff", "is not UTF-8 text"),
        (b"hush" * 2_000, "has more than 4096 bytes"),
    ],
)
def test_a_password_file_that_is_none(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RedisAccessError) as told:
        connect(ADDRESS, access=RedisAccess(password_file=path))
    assert message in str(told.value)
    assert str(path) in str(told.value)
    assert "hush" not in str(told.value)
    with pytest.raises(AuthenticationError, match="password file"):
        PasswordFile(None, path).get_credentials()


@pytest.mark.parametrize("content", [b"p@ss", b"p@ss\n", b"p@ss\r\n"])
def test_a_password_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    assert read_password(path) == "p@ss"
    assert PasswordFile(None, path).get_credentials() == ("p@ss",)
    assert PasswordFile("user", path).get_credentials() == ("user", "p@ss")


def test_certificates_that_are_none(tmp_path: Path) -> None:
    (nonsense := tmp_path / "nonsense").write_text("nonsense")
    certificate, key = Authority(tmp_path).issue("client")
    _, other_key = Authority(tmp_path, "other").issue("other-client")
    _, locked_key = Authority(tmp_path, "third").issue("locked", passphrase="hush")
    wrong: list[tuple[dict[str, Path], str]] = [
        ({"ca_file": tmp_path / "none"}, "cannot be read: No such file"),
        ({"ca_file": nonsense}, "cannot be used for TLS"),
        ({"cert_file": certificate, "key_file": other_key}, "cannot be used for TLS: KEY_VALUES_MISMATCH"),
        ({"cert_file": certificate, "key_file": locked_key}, "cannot be used for TLS"),
        ({"cert_file": nonsense, "key_file": key}, "cannot be used for TLS"),
    ]
    for files, message in wrong:
        with pytest.raises(RedisAccessError) as told:
            connect(TLS, access=RedisAccess(**files))
        assert message in str(told.value)
        assert str(next(iter(files.values()))) in str(told.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (ADDRESS, False),
        (WITH_USER, False),
        ("redis://u:p@h", True),
        ("unix:///s?password=p", True),
        ("redis+cluster://:p@h", True),
        (SENTINEL, False),
        (f"{SENTINEL}?sentinel_password=p", True),
    ],
)
def test_whether_an_address_holds_a_password(url: str, expected: bool) -> None:
    assert holds_password(url) is expected


async def test_a_changed_password_is_used_by_the_next_connection(newest_server: RedisServer, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("first\n")
    with newest_server.sync() as admin:
        admin.acl_setuser("sluice", enabled=True, passwords=["+first"], keys=["*"], channels=["*"], commands=["+@all"])
        try:
            access = RedisAccess("sluice", path)
            client = connect(f"unix://{newest_server.socket}", access=access)
            limiter = Limiter(client, deadline_s=5)
            assert (await limiter.acquire([Charge(POLICY, "acme")])).allowed
            admin.acl_setuser("sluice", enabled=True, reset_passwords=True, passwords=["+second"])
            admin.client_kill_filter(_type="normal", skipme=True)
            path.write_text("second\n")
            await asyncio.sleep(0.1)  # the event loop sees that it was closed
            assert (await limiter.acquire([Charge(POLICY, "acme")])).windows[0].used == 2
            await limiter.close()
            await client.aclose()
        finally:
            admin.acl_deluser("sluice")


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[SecuredRedis]:
    """Nothing of it runs yet."""
    if not has_tls():
        pytest.skip("no redis-server on PATH (the one in the wheel has no TLS)")
    made = SecuredRedis(tmp_path)
    yield made
    made.close()


async def _decides(url: str, access: RedisAccess) -> None:
    """Both kinds of client work: the limiter's, and one whose commands have a timeout."""
    client = connect(url, access=access)
    limiter = Limiter(client, deadline_s=5)
    try:
        assert (await limiter.acquire([Charge(POLICY, "acme")])).allowed
        assert (await limiter.peek([Charge(POLICY, "acme")])).windows[0].remaining == 1
    finally:
        await limiter.close()
        await client.aclose()
    plain = connect(url, timeout_s=5, access=access)
    await plain.set("some", "thing")
    assert await plain.get("some") == b"thing"
    await plain.aclose()


async def test_tls_and_passwords_on_one_redis(secured: SecuredRedis) -> None:
    secured.start()
    await _decides(f"rediss://localhost:{secured.port}/0", secured.access)


def test_tls_and_passwords_in_the_event_loop_of_ray(secured: SecuredRedis) -> None:
    secured.start()
    uvloop.run(_decides(f"rediss://localhost:{secured.port}/0", secured.access))


async def test_tls_and_passwords_through_sentinel(secured: SecuredRedis) -> None:
    secured.start_sentinel()
    access = replace(secured.access, sentinel_username=USER, sentinel_password_file=secured.access.password_file)
    await _decides(f"rediss+sentinel://127.0.0.1:{secured.sentinel_port}/main", access)


async def test_tls_and_passwords_in_a_cluster(secured: SecuredRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.connect.ASK_AROUND_S", 10)  # other tests keep the machine's cores busy
    secured.start_cluster()
    await _decides(f"rediss+cluster://127.0.0.1:{secured.port}", secured.access)


async def test_who_is_not_let_in(secured: SecuredRedis) -> None:
    """Every part counts: without any one of them no decision is made."""
    secured.start()
    url = f"rediss://127.0.0.1:{secured.port}"
    other = Authority(secured.folder, "other")
    other_certificate, other_key = other.issue("stranger")
    (wrong_password := secured.folder / "wrong").write_text("wrong")
    without_certificate = replace(secured.access, cert_file=None, key_file=None)
    for lacking_url, access in (
        (f"redis://127.0.0.1:{secured.port}", RedisAccess(USER, secured.access.password_file)),  # no TLS
        (url, replace(secured.access, ca_file=None)),  # vouched for by nobody that this machine knows
        (url, replace(secured.access, ca_file=other.file)),
        (url.replace("127.0.0.1", "127.0.0.2"), secured.access),  # a certificate of another host
        (url, without_certificate),
        (url, replace(secured.access, cert_file=other_certificate, key_file=other_key)),
        (url, replace(secured.access, password_file=wrong_password)),
        (url, replace(secured.access, username=None, password_file=None)),
    ):
        client = connect(lacking_url, access=access)
        limiter = Limiter(client, deadline_s=5)
        with pytest.raises(StoreUnavailableError):
            await limiter.acquire([Charge(POLICY, "acme")])
        await limiter.close()
        await client.aclose()
    with secured.client(secured.port) as admin:
        assert admin.dbsize() == 0


async def test_closing_waits_for_no_farewell_of_a_frozen_server(secured: SecuredRedis) -> None:
    secured.start()
    client = connect(f"rediss://127.0.0.1:{secured.port}", access=secured.access)
    limiter = Limiter(client, deadline_s=5)
    await limiter.acquire([Charge(POLICY, "acme")])
    secured.freeze()
    await limiter.close()  # the driver would raise that closing took too long
    assert not client.connection_pool._in_use_connections
    secured.close()
    await client.aclose()
