"""`ops/redis/users.acl`: whatever Sluice does works as that user, and that user can do nothing else.

Redis notes every command, key and channel that it refuses, those of scripts too (`ACL LOG`), and counts those that it
ran, so both directions are read from the server itself.
"""

import asyncio
import hashlib
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deployments.ingress.authentication import sha256_of
from policies import Charge, Limiter, RateLimitPolicy
from policies.connect import connect
from tests.deployments.ingress.admin.conftest import bearer, ok
from tests.deployments.ingress.admin.test_imports import PART, begun, done
from tests.deployments.ingress.conftest import CATALOGUE, secret
from tests.deployments.ingress.live.conftest import Replica
from tests.deployments.ingress.live.viewing import seen, watching
from tests.policies.redis_server import RedisServer, binaries
from tests.policies.secured_redis import PASSWORD as CLUSTER_PASSWORD
from tests.policies.secured_redis import SecuredRedis, has_tls

ROOT = Path(__file__).parents[2]
USERS, SECURITY = ROOT / "ops" / "redis" / "users.acl", ROOT / "docs" / "security.md"
PASSWORD = "hush"

ALL = RateLimitPolicy(name="all", scope="GLOBAL", limit=1_000, window="1m", shards=2)
TOKENS = RateLimitPolicy(name="tokens", scope="TENANT", unit="total_tokens", limit=100, window="1m")

POLICIES: list[dict[str, Any]] = [
    {"name": "burst", "scope": "API_KEY", "limit": 3, "window": "1m", "match": {"api_key": "gus1"}},
    {"name": "tokens", "scope": "TENANT", "unit": "total_tokens", "limit": 100_000, "window": "1m"},
    {"name": "slots", "scope": "USER_MODEL", "unit": "concurrent_requests", "limit": 2},
    {"name": "all", "scope": "GLOBAL", "limit": 1_000, "window": "1m", "shards": 2},
    {
        "name": "abuse",
        "scope": "MODEL",
        "limit": 1,
        "window": "10s",
        "match": {"model": "large"},
        "block": {"denials": 2, "within": "10s", "duration": "30s"},
    },
]


class GuardedRedis(RedisServer):
    """Lets in the users of the file, and one of the test's own that looks on."""

    def __init__(self, binary: str) -> None:
        super().__init__(binary)
        # Replicas and Sentinels have users of their own there, which `tests/ops/test_redis_sentinels.py` runs as.
        text = re.sub(r"[A-Z]+_SHA256", hashlib.sha256(PASSWORD.encode()).hexdigest(), USERS.read_text())
        (self.folder / "users.acl").write_text(text + "user looker on nopass ~* &* +@all\n")
        self.options = ("--aclfile", str(self.folder / "users.acl"))
        self.url = f"unix://{self.socket}?username=sluice&password={PASSWORD}"

    def sync(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=self.socket, username="looker", password="", retry=Retry(NoBackoff(), 0))

    def refused(self) -> list[str]:
        """What somebody asked for and was not allowed, but for the driver's telling of its own name and version, which
        no Redis before 7.2 knows."""
        with self.sync() as looker:
            entries = [f"{each['username']} {each['reason']} {each['object']}" for each in looker.acl_log()]
        return [entry for entry in entries if "client" not in entry]

    def commands(self) -> set[str]:
        """Every command that anybody ran, as `set` or `script|load`."""
        with self.sync() as looker:
            return {name.removeprefix("cmdstat_") for name in looker.info("commandstats")}


@pytest.fixture(params=list(binaries()))
def guarded(request: pytest.FixtureRequest) -> Iterator[GuardedRedis]:
    server = GuardedRedis(binaries()[request.param])
    server.start()
    yield server
    server.close()


@pytest.fixture
async def replicas(guarded: GuardedRedis) -> AsyncIterator[list[Replica]]:
    """Two ingress replicas that know Redis as that user only."""
    keys = [*CATALOGUE["keys"], {"id": "gate1", "user": "gus", "role": "gateway", "sha256": sha256_of(secret("gate1"))}]
    made = [Replica(guarded.url, max_body_bytes=1 << 20) for _ in range(2)]
    for each in made:
        each.client.headers.update(bearer("admin1"))
        await each.start(*POLICIES, keys=keys)
    yield made
    for each in made:
        await each.close()


def granted(user: str) -> set[str]:
    """The commands that the file grants."""
    (line,) = [line for line in USERS.read_text().splitlines() if line.startswith(f"user {user} ")]
    return {word[1:] for word in line.split() if word.startswith("+")}


async def test_all_that_sluice_does_is_allowed_and_nothing_is_granted_in_vain(
    guarded: GuardedRedis, replicas: list[Replica]
) -> None:
    here, there = replicas
    await _limits(here)
    await _windows_that_pass(here)
    await _another_database(guarded)
    await _live_feed(here, there)
    await _decisions(here.client, there.client)
    await _catalogue(here.client, there.client)
    await here.state.settlement.close()
    assert guarded.refused() == []
    used = guarded.commands()
    if "script" in used:  # Redis 6.2 does not count by subcommand
        used.add("script|load")
    assert granted("sluice") - used == set()
    with guarded.sync() as looker:
        assert all(key.startswith(b"sluice:") for key in looker.scan_iter())


async def _limits(replica: Replica) -> None:
    """Allowed, denied, streamed, blocked; windows read; service levels told."""
    statuses = [(await replica.ask("gus1")).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    streamed = await replica.ask("paula1", stream=True)
    assert streamed.status_code == 200
    assert "[DONE]" in streamed.text
    blocked = [(await replica.ask("paula1", model="large")).status_code for _ in range(5)]
    assert blocked == [200, 429, 429, 429, 429]
    assert (await ok(replica.client.get("/v1/limits", headers=bearer("gus1"))))["windows"]
    await replica.state.sla_sharing.tell()
    await ok(replica.client.get("/admin/sla"))
    await ok(replica.client.get("/readyz"))


async def _windows_that_pass(replica: Replica) -> None:
    """Logs and leases whose time is over are begun anew."""
    tokens = RateLimitPolicy(name="brief-tokens", scope="TENANT", unit="total_tokens", limit=10, window="100ms")
    slots = RateLimitPolicy(name="brief-slots", scope="TENANT", unit="concurrent_requests", limit=1, window="100ms")
    for _ in range(2):
        decision = await replica.limiter.acquire([Charge(tokens, "acme", 7), Charge(slots, "acme")])
        assert decision.allowed
        await asyncio.sleep(0.2)


async def _another_database(guarded: GuardedRedis) -> None:
    client = connect(f"{guarded.url}&db=3", timeout_s=5)
    assert await client.ping()
    await client.aclose()


async def _live_feed(here: Replica, there: Replica) -> None:
    """A request of one replica is seen at the other, with the window's log."""
    async with watching(there.app, "admin1", query="policy=tokens&subject=acme") as stream:
        await stream.until(lambda each: each.frames and each.frames[-1].replicas == 2)
        assert (await here.ask("paula1")).status_code == 200
        await stream.until(seen("allowed", 1))


async def _decisions(here: httpx.AsyncClient, there: httpx.AsyncClient) -> None:
    """For another gateway: taken here, renewed and settled there."""
    asked = {"api_key": "paula1", "model": "small", "input_tokens": 10, "max_output_tokens": 20}
    decision = await ok(here.post("/v1/decisions", json=asked, headers=bearer("gate1")))
    path = f"/v1/decisions/{decision['id']}"
    await ok(there.post(f"{path}/renew", headers=bearer("gate1")))
    await ok(there.post(f"{path}/settle", json={"actual": {"total_tokens": 12}}, headers=bearer("gate1")))


async def _catalogue(here: httpx.AsyncClient, there: httpx.AsyncClient) -> None:
    """Everything that the admin API writes and reads; a change is seen by the other replica."""
    await ok(here.post("/admin/tenants", json={"name": "hooli"}))
    await ok(here.post("/admin/users", json={"name": "gavin", "tenant": "hooli"}))
    issued = await ok(here.post("/admin/keys", json={"user": "gavin", "id": "gavin1"}))
    policy = {"name": "hooli-rate", "scope": "TENANT", "limit": 5, "window": "1m", "match": {"tenant": "hooli"}}
    await ok(here.post("/admin/policies", json=policy))
    await ok(here.post("/admin/tiers", json={"name": "odd"}))
    await ok(here.post("/admin/models", json={"name": "small-too", "tier": "odd", "pool": "small"}))
    key = {"authorization": f"Bearer {issued['secret']}"}
    body = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
    await ok(here.post("/v1/chat/completions", json=body, headers=key))
    await ok(there.post("/admin/keys/gavin1/rotate", json={"overlap": "1m"}))
    await ok(there.post("/admin/keys/gavin1/revoke"))
    for listed in ("tenants", "users", "keys", "tiers", "models", "policies"):
        await ok(there.get(f"/admin/{listed}"))
    await ok(there.get("/admin/users", params={"tenant": "hooli"}))
    path = await begun(here, PART)
    await done(here, path, prune=True)
    await ok(here.get("/admin/catalogue"))
    assert (await here.get("/admin/export")).is_success
    await ok(here.get("/admin/audit"))
    await ok(here.get("/admin/usage"))
    await ok(here.post("/admin/dry-run", json={"policy": {**POLICIES[1], "limit": 1}}))


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "*"),
        ("CONFIG", "SET", "maxmemory", "1"),
        ("ACL", "LIST"),
        ("ACL", "SETUSER", "sluice", "+@all"),
        ("SHUTDOWN",),
        ("SAVE",),
        ("BGREWRITEAOF",),
        ("REPLICAOF", "NO", "ONE"),
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("SCRIPT", "FLUSH"),
        ("FUNCTION", "LIST"),
        ("MODULE", "LIST"),
        ("MONITOR",),
        ("SLOWLOG", "GET"),
        ("SWAPDB", "0", "1"),
        ("RENAME", "sluice:a", "sluice:b"),
        ("SET", "other:key", "1"),
        ("GET", "other:key"),
        ("XRANGE", "other:key", "-", "+"),
        ("DEL", "other:key"),
        ("PUBLISH", "any", "thing"),
        ("SUBSCRIBE", "any"),
        ("EVAL", "return redis.call('GET', 'other:key')", "0"),
        ("EVAL", "return redis.call('FLUSHALL')", "0"),
        ("EVAL", "return 1", "1", "other:key"),
    ],
)
def test_nothing_else_is(shared: GuardedRedis, command: tuple[str, ...]) -> None:
    with shared.sync() as looker:
        looker.set("other:key", "theirs")
    with redis.Redis.from_url(shared.url) as client, pytest.raises(redis.ResponseError) as told:
        client.execute_command(*command)
    words = str(told.value).lower()
    # Redis 6.2 has no FUNCTION. What a script is refused is an error of the script's.
    assert any(said in words for said in ("permission", "user executing the script can't", "unknown command")), words
    with shared.sync() as looker:
        assert looker.get("other:key") == b"theirs"


LOOKS = {"ping": ("PING",), "info": ("INFO",), "slowlog|get": ("SLOWLOG", "GET", "10"), "acl|log": ("ACL", "LOG")}


def test_an_operator_looks_and_touches_nothing(guarded: GuardedRedis) -> None:
    assert granted("operator") == set(LOOKS)  # test_redis_sentinels.py: the runbook needs them
    with guarded.sync() as looker:
        looker.set("sluice:key", "1")
    with redis.Redis.from_url(guarded.url.replace("username=sluice", "username=operator")) as client:
        for command in LOOKS.values():
            client.execute_command(*command)
        for other in (
            *(("GET", "sluice:key"), ("SET", "sluice:key", "2"), ("DEL", "sluice:key"), ("SCAN", "0")),
            *(("EVAL", "return 1", "0"), ("CONFIG", "GET", "*"), ("SLOWLOG", "RESET"), ("ACL", "LIST")),
            *(("MONITOR",), ("CLIENT", "LIST"), ("SHUTDOWN",), ("PUBLISH", "any", "thing")),
        ):
            with pytest.raises(redis.ResponseError, match=r"(?i)no permission"):
                client.execute_command(*other)


@pytest.mark.parametrize("user", [None, "default"])
def test_nobody_comes_in_without_that_user(shared: GuardedRedis, user: str | None) -> None:
    client = redis.Redis(unix_socket_path=shared.socket, username=user, password=PASSWORD if user else None)
    with client, pytest.raises(redis.AuthenticationError):
        client.ping()


@pytest.fixture(scope="module")
def shared() -> Iterator[GuardedRedis]:
    server = GuardedRedis(next(iter(binaries().values())))
    server.start()
    yield server
    server.close()


@pytest.mark.skipif(not has_tls(), reason="no redis-server with TLS on PATH")
async def test_a_cluster_works_with_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.connect.ASK_AROUND_S", 10)  # other tests keep the machine's cores busy
    (more,) = re.findall(r"add `([^`]+)` to\s+`sluice`", SECURITY.read_text())
    digest = hashlib.sha256(CLUSTER_PASSWORD.encode()).hexdigest()
    sluice = USERS.read_text().splitlines()[1].replace("SLUICE_SHA256", digest)
    looker = "user looker on nopass ~* &* +@all"
    secured = SecuredRedis(tmp_path).start_cluster(f"user default off\n{sluice} {more}\n{looker}\n")
    try:
        client = connect(f"rediss+cluster://127.0.0.1:{secured.port}", access=secured.access)
        limiter = Limiter(client, deadline_s=5)
        decision = await limiter.acquire([Charge(ALL), Charge(TOKENS, "acme", 5)])
        assert decision.allowed
        await limiter.settle(decision, {"total_tokens": 3})
        await limiter.close()
        await client.aclose()
        with secured.client(secured.port) as admin:
            admin.execute_command("AUTH", "looker", "any")
            refused = {entry["object"] for entry in admin.acl_log()}
        assert refused <= {"client|setinfo"}
    finally:
        secured.close()


@pytest.mark.parametrize("binary", binaries().values(), ids=binaries().keys())
def test_the_file_starts_no_redis_before_a_password_is_set(binary: Path, tmp_path: Path) -> None:
    """Its placeholder is no hash, so nobody runs with a password that stands in a repository."""
    assert "nopass" not in USERS.read_text()
    options = ("--port", "0", "--unixsocket", "redis.sock", "--save", "", "--aclfile", str(USERS))
    done = subprocess.run([binary, *options], cwd=tmp_path, capture_output=True, text=True, timeout=10)
    assert done.returncode != 0
    assert "acl" in (done.stdout + done.stderr).lower()
