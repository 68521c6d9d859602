"""Whose address a request has, where proxies stand in between."""

import pytest

from deployments.ingress.client_address import UNKNOWN, ClientAddresses

TRUSTED = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "fd00::/8")


def address(peer: str | None, *forwarded: str) -> str:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return ClientAddresses(TRUSTED).of({"client": None if peer is None else (peer, 1234), "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.7", (), "198.51.100.7"),
        ("198.51.100.7", ("203.0.113.9",), "198.51.100.7"),  # nobody whom we trust said that
        ("10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("10.0.0.1", ("1.1.1.1, 203.0.113.9",), "203.0.113.9"),  # what the client wrote itself is not reached
        ("10.0.0.1", ("1.1.1.1", "203.0.113.9"), "203.0.113.9"),
        ("10.0.0.1", ("203.0.113.9, 10.2.2.2, 127.0.0.1",), "203.0.113.9"),
        ("10.0.0.1", ("10.2.2.2",), "10.2.2.2"),
        ("10.0.0.1", ("203.0.113.9:5678",), "203.0.113.9"),
        ("10.0.0.1", ("nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("203.0.113.9, nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("\xff\xfe",), "10.0.0.1"),
        ("127.0.0.1", ("1.1.1.1, " + "10.0.0.2, " * 500 + "10.0.0.3",), "10.0.0.2"),
        ("2001:db8:1:2:3:4:5:6", (), "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", (), "2001:db8:1:2::/64"),
        ("10.0.0.1", ("[2001:db8:1:2::1]:443",), "2001:db8:1:2::/64"),
        ("fd00::1", ("2001:db8:9::1",), "2001:db8:9::/64"),
        ("::ffff:198.51.100.7", (), "198.51.100.7"),
        ("::ffff:10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        (None, ("203.0.113.9",), UNKNOWN),
        ("testclient", ("203.0.113.9",), UNKNOWN),
    ],
)
def test_the_nearest_that_nobody_trusted_vouches_for(peer: str | None, forwarded: tuple[str, ...], client: str) -> None:
    assert address(peer, *forwarded) == client


def test_nobody_is_trusted() -> None:
    scope = {"client": ("127.0.0.1", 1), "headers": [(b"x-forwarded-for", b"203.0.113.9")]}
    assert ClientAddresses(()).of(scope) == "127.0.0.1"
