"""Addresses of Redis: what is understood, and what is said of what is not."""

from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from policies.connect import check_url, connect
from policies.errors import RedisUrlError


@pytest.mark.parametrize("url", ["redis://localhost", "redis://:p@h:1/2", "rediss://u:p@h", "unix:///tmp/x.sock?db=3"])
def test_one_redis(url: str) -> None:
    assert type(connect(url)) is Redis


@pytest.mark.parametrize(
    ("url", "sentinels", "primary", "expected"),
    [
        ("redis+sentinel://a/main", [("a", 26379)], "main", {"db": 0, "password": None}),
        ("redis+sentinel://a:1,b:2/m/3", [("a", 1), ("b", 2)], "m", {"db": 3}),
        ("redis+sentinel://u:p%40s@[::1]:7,b/m", [("::1", 7), ("b", 26379)], "m", {"username": "u", "password": "p@s"}),
        ("redis+sentinel://:p@a/m?sentinel_password=q", [("a", 26379)], "m", {"username": None, "password": "p"}),
        ("rediss+sentinel://a/m", [("a", 26379)], "m", {}),
    ],
)
def test_sentinel(url: str, sentinels: list[tuple[str, int]], primary: str, expected: dict[str, Any]) -> None:
    client = connect(url)
    assert isinstance(client, Redis)
    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    asked = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in asked] == sentinels
    assert pool.service_name == primary
    assert {name: pool.connection_kwargs.get(name) for name in expected} == expected
    assert asked[0].get("password") == ("q" if "sentinel_password" in url else None)
    assert ("SSL" in pool.connection_class.__name__) == url.startswith("rediss")


def test_cluster() -> None:
    client = connect("redis+cluster://u:p@a:1,b/0")
    assert isinstance(client, RedisCluster)
    assert [(node.host, node.port) for node in client.startup_nodes] == [("a", 1), ("b", 6379)]
    assert client.connection_kwargs["password"] == "p"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:6379", "not the address of a Redis"),
        ("http://:secret@h", "'http://h' is not the address"),
        ("redis://", "no host"),
        ("redis://:secret@h:port", "a port or an option"),
        ("redis://:sec/ret@h:1", "a port or an option"),
        ("redis://:sec?secret@h", "'redis://…' has"),
        ("redis+sentinel://h:26379", "no name of the primary"),
        ("redis+sentinel:///main", "an empty host"),
        ("redis+sentinel://:secret@h,,i/main", "an empty host"),
        ("redis+sentinel://h:0/main", "a port that is not a number from 1 to 65535"),
        ("redis+sentinel://h/main/first", "more behind the primary's name"),
        ("redis+sentinel://h/main?pasword=secret", "an option 'pasword'; accepted: sentinel_username"),
        ("redis+cluster://h/3", "a database; a Redis Cluster has only one"),
        ("redis+cluster://:secret@h:1x", "a port that is not a number"),
        ("redis+cluster://[::1", "brackets that do not match"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(url: str, message: str) -> None:
    with pytest.raises(RedisUrlError) as told:
        check_url(url)
    assert message in str(told.value)
    assert "redis+cluster://host:6379" in str(told.value)  # and what would be right
    assert "sec" not in str(told.value)
    assert told.value.__suppress_context__ or told.value.__context__ is None
