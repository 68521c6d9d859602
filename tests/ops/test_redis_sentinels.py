"""`ops/redis`: three Redis servers and three Sentinels, started by the script and the files that the pods use, with TLS
and a user for everybody; the primary is killed, and decisions go on."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from policies import Charge, Limiter, RateLimitPolicy
from policies.access import RedisAccess
from policies.connect import connect
from policies.errors import StoreError
from tests.policies.certificates import Authority
from tests.policies.redis_nodes import free_ports, until

ROOT = Path(__file__).parents[2]
OPS, RUNBOOK = ROOT / "ops" / "redis", ROOT / "docs" / "runbook.md"
SECRETS = {
    "password": "for-sluice",
    "replica-password": "for-replicas",
    "sentinel-password": "for-sentinels",
    "operator-password": "for-operators",
}
POLICY = RateLimitPolicy(name="burst", scope="TENANT", limit=1_000, window="10m")

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("redis-server", "redis-cli"))),
    reason="no redis-server with its redis-cli on PATH",
)


@dataclass
class Pods:
    """What the StatefulSet would run, on loopback."""

    folder: Path
    ports: list[tuple[int, int]]
    """Of each pod: of its Redis, and of its Sentinel."""
    access: RedisAccess
    redises: list[subprocess.Popen[bytes]] = field(default_factory=list)
    sentinels: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"rediss+sentinel://{','.join(f'localhost:{sentinel}' for _, sentinel in self.ports)}/sluice"

    def run(self, what: str, pod: int) -> subprocess.Popen[bytes]:
        environment = self._environment(what, pod)
        for made in ("RUN", "DATA"):
            Path(environment[made]).mkdir(exist_ok=True)
        with (Path(environment["RUN"]) / "log").open("ab") as log:
            return subprocess.Popen(["/bin/sh", OPS / "start.sh", what], env=environment, stdout=log, stderr=log)

    def ask(self, what: str, pod: int, *command: str) -> str:
        """What the operator is told, by the script in the pod."""
        done = subprocess.run(
            ["/bin/sh", OPS / "start.sh", "ask", what, *command],
            env=self._environment(what, pod),
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _environment(self, what: str, pod: int) -> dict[str, str]:
        port, sentinel_port = self.ports[pod]
        return {
            "PATH": os.environ["PATH"],
            "SELF": "localhost",
            "PEERS": " ".join(f"localhost:{one}:{other}" for one, other in self.ports),
            "CONFIG": str(OPS),
            "PASSWORDS": str(self.folder / "passwords"),
            "TLS": str(self.folder / "tls"),
            "RUN": str(self.folder / f"run-{pod}-{what}"),
            "DATA": str(self.folder / f"data-{pod}"),
            "PORT": str(port),
            "SENTINEL_PORT": str(sentinel_port),
            "DOWN_AFTER_MS": "1500",
        }

    def client(self, port: int, password: str) -> redis.Redis:
        """Of one of them, Redis or Sentinel."""
        return redis.Redis(
            port=port,
            username="sluice",
            password=password,
            ssl=True,
            ssl_ca_certs=str(self.access.ca_file),
            ssl_certfile=str(self.access.cert_file),
            ssl_keyfile=str(self.access.key_file),
            retry=None,
        )

    def primary_port(self) -> int | None:
        """As the Sentinels say, where two of them agree and know each other and the replicas."""
        found = []
        for _, port in self.ports:
            with self.client(port, SECRETS["password"]) as client:
                state = client.sentinel_masters()["sluice"]
                whole = state["num-other-sentinels"] == 2 and state["num-slaves"] == 2
                found.append(state["port"] if whole else None)
        return int(found[0]) if found[0] is not None and len(set(found)) == 1 else None

    def close(self) -> None:
        for process in (*self.sentinels, *self.redises):
            process.kill()
            process.wait()


def asked_by_the_runbook() -> list[tuple[str, str]]:
    """Whom and what, by the tables under "Asking Redis"."""
    section = RUNBOOK.read_text().partition("## Asking Redis")[2].partition("\n## ")[0]
    tables = section.split("| question | asked of `")[1:]
    return [
        (table.partition("`")[0], command)
        for table in tables
        for command in re.findall(r"\| `([^`]+)` \|$", table, re.MULTILINE)
    ]


def _written(tmp_path: Path) -> Pods:
    """What the Secrets hold, and nothing started."""
    (passwords := tmp_path / "passwords").mkdir()
    for name, secret in SECRETS.items():
        (passwords / name).write_text(f"{secret}\n")
    (tls := tmp_path / "tls").mkdir()
    authority = Authority(tls, "ca")
    authority.file.rename(tls / "ca.crt")
    for file, name in zip(authority.issue("server", "localhost"), ("tls.crt", "tls.key"), strict=True):
        file.rename(tls / name)
    certificate, key = authority.issue("client")
    password = passwords / "password"
    access = RedisAccess("sluice", password, "sluice", password, tls / "ca.crt", certificate, key)
    ports = free_ports(6)
    return Pods(tmp_path, list(zip(ports[::2], ports[1::2], strict=True)), access)


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    made = _written(tmp_path)
    made.redises = [made.run("redis", pod) for pod in range(3)]
    made.sentinels = [made.run("sentinel", pod) for pod in range(3)]
    try:
        until(made.primary_port, f"the Sentinels agree: see {tmp_path}")
        yield made
    finally:
        made.close()


async def _decided(limiter: Limiter, within_s: float = 30) -> int:
    """How much is used after a decision that was made at last."""
    give_up = time.monotonic() + within_s
    while True:
        try:
            return (await limiter.acquire([Charge(POLICY, "acme")])).windows[0].used
        except StoreError:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)


async def test_decisions_go_on_when_the_primary_is_killed(pods: Pods) -> None:
    assert pods.primary_port() == pods.ports[0][0]
    client = connect(pods.url, access=pods.access)
    limiter = Limiter(client, deadline_s=1)
    assert [await _decided(limiter) for _ in range(3)] == [1, 2, 3]
    pods.redises[0].send_signal(signal.SIGKILL)
    pods.redises[0].wait()
    after = await _decided(limiter)
    # It comes back as the pod would: the Sentinels tell it whom to follow, so it is never a primary again by itself.
    pods.redises[0] = pods.run("redis", 0)
    log = pods.folder / "run-0-redis" / "log"
    until(lambda: log.read_text().count("Ready to accept connections") == 2, f"it starts: see {log}")
    assert "\nreplicaof localhost " in (pods.folder / "run-0-redis" / "redis.conf").read_text()
    now = until(pods.primary_port, "the Sentinels agree again")
    assert now in [port for port, _ in pods.ports[1:]]
    assert await _decided(limiter) > after
    await limiter.close()
    await client.aclose()


def test_an_operator_asks_all_that_the_runbook_says(pods: Pods) -> None:
    told = {command: pods.ask(what, 0, *command.split()) for what, command in asked_by_the_runbook()}
    refused = {command: text for command, text in told.items() if "NOPERM" in text or "ERR" in text}
    assert not refused
    assert "role:master" in told["INFO replication"]
    assert told["SENTINEL GET-MASTER-ADDR-BY-NAME sluice"].split() == ["localhost", str(pods.ports[0][0])]
    assert told["SENTINEL CKQUORUM sluice"].startswith("OK")
    assert len(told["--latency"].split()) == 4  # shortest, longest, mean in milliseconds; how many
    for what, command in (("redis", "GET sluice:x"), ("redis", "CONFIG GET *"), ("sentinel", "SENTINEL RESET *")):
        assert "NOPERM" in pods.ask(what, 0, *command.split())


@pytest.mark.parametrize("what", ["redis", "sentinel"])
@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("content", [None, "", "\n"])
def test_nothing_starts_without_all_passwords(tmp_path: Path, what: str, name: str, content: str | None) -> None:
    """The hash of an empty password would let in whoever sends none."""
    pods = _written(tmp_path)
    path = tmp_path / "passwords" / name
    path.unlink() if content is None else path.write_text(content)
    process = pods.run(what, 0)
    try:
        assert process.wait(20) == 2
    finally:
        process.kill()
    assert f"{path} is missing or empty" in (tmp_path / f"run-0-{what}" / "log").read_text()


def test_a_password_may_hold_anything_and_the_next_one_is_accepted_beside_it(tmp_path: Path) -> None:
    pods = _written(tmp_path)
    odd = {"password": 'a "b\\c $d&', "replica-password": '"r\\&', "next-password": "the 'next' one"}
    for name, secret in odd.items():
        (tmp_path / "passwords" / name).write_text(secret)
    pods.redises = [pods.run("redis", 0), pods.run("redis", 1)]
    try:
        for secret in (odd["password"], odd["next-password"]):
            with pods.client(pods.ports[0][0], secret) as client:
                until(lambda client=client: _answers(client), f"it lets in: see {tmp_path}")
        with pytest.raises(redis.AuthenticationError), pods.client(pods.ports[0][0], "another") as client:
            client.ping()
        log = tmp_path / "run-1-redis" / "log"
        until(lambda: "MASTER <-> REPLICA sync: Finished" in log.read_text(), f"it follows: see {log}")
    finally:
        pods.close()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.AuthenticationError:
        raise
    except redis.ConnectionError:
        return False  # it does not listen yet


def test_no_password_is_an_argument_or_in_an_environment(pods: Pods) -> None:
    for process in (*pods.redises, *pods.sentinels):
        for file in ("cmdline", "environ"):
            told = Path(f"/proc/{process.pid}/{file}").read_bytes()
            assert not [secret for secret in SECRETS.values() if secret.encode() in told]
