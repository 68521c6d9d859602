"""Sluice with everything guarded: TLS to clients by Ray Serve's own proxy, TLS with certificates on both sides and the
user of ops/redis/users.acl to Redis, its password in a file; and where secrets are to be found afterwards: nowhere."""

import hashlib
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.conftest import Application, configuration, free_port, serving
from tests.ops.test_redis_acl import USERS
from tests.policies.certificates import Authority
from tests.policies.secured_redis import PASSWORD, SecuredRedis, has_tls

pytestmark = [
    pytest.mark.serve,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not has_tls(), reason="no redis-server on PATH (the one in the wheel has no TLS)"),
]

KEY = "sk-demo-premium"
CHAT = {"model": "default", "messages": [{"role": "user", "content": "a prompt that nobody else may read"}]}


@dataclass
class Guarded:
    application: Application
    redis: SecuredRedis
    client: httpx.Client


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    redis = SecuredRedis(tmp_path_factory.mktemp("redis"))
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    users = USERS.read_text().replace("SLUICE_SHA256", digest).splitlines()
    redis.start("\n".join(users[:2]) + "\n")
    folder, port = tmp_path_factory.mktemp("app"), free_port()
    authority = Authority(folder)
    certificate, key = authority.issue("public", "127.0.0.1")
    config = configuration(port, folder / "state")
    config["http_options"] |= {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
    config["applications"][0]["args"]["redis"] = {
        "url": f"rediss://127.0.0.1:{redis.port}",
        "deadline_ms": 1000,
        **{
            name: str(getattr(redis.access, name))
            for name in ("username", "password_file", "ca_file", "cert_file", "key_file")
        },
    }
    client = httpx.Client(
        base_url=f"https://127.0.0.1:{port}",
        verify=ssl.create_default_context(cafile=str(authority.file)),
        headers={"authorization": f"Bearer {KEY}"},
        timeout=30,
    )

    def ready(running: Application) -> None:
        _until_ready(running, client)

    try:
        with client, serving(config, folder, ready) as application:
            yield Guarded(application, redis, client)
    finally:
        redis.close()


def _until_ready(running: Application, client: httpx.Client) -> None:
    give_up = time.monotonic() + 150
    while True:
        try:
            reply = client.get("/readyz")
            if reply.status_code == 200:
                return
            last = reply.text
        except httpx.TransportError as error:
            last = repr(error)
        if time.monotonic() > give_up or running.process.poll() is not None:
            pytest.fail(f"not ready: {last}\n{running.log.read_text()[-4_000:]}")
        time.sleep(0.5)


def test_it_serves(guarded: Guarded) -> None:
    reply = guarded.client.post("/v1/chat/completions", json=CHAT)
    assert reply.status_code == 200
    windows = {each["policy"]: each["used"] for each in guarded.client.get("/v1/limits").json()["windows"]}
    assert windows["premium-rate"] >= 1


def test_clients_without_tls_and_strangers_certificates_are_not_served(guarded: Guarded) -> None:
    address = str(guarded.client.base_url).rstrip("/")
    with pytest.raises(httpx.TransportError):
        httpx.get(address.replace("https", "http") + "/healthz")
    with pytest.raises(httpx.ConnectError):
        httpx.get(address + "/healthz")  # nobody that this machine knows vouches for it


def test_no_secret_is_in_an_argument_or_an_environment(guarded: Guarded) -> None:
    """Of any process of this machine an argument, and of Sluice's and Ray's an environment."""
    guarded.client.post("/v1/chat/completions", json=CHAT)
    secrets = (PASSWORD.encode(), hashlib.sha256(PASSWORD.encode()).hexdigest().encode())
    told = {}
    for process in psutil.process_iter():
        try:
            told[f"arguments of {process.pid}"] = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except OSError:  # it has ended
            continue
    family = psutil.Process(guarded.application.process.pid).children(recursive=True)
    assert len(family) > 5
    for process in family:
        try:
            told[f"environment of {process.pid}"] = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            continue
    assert f"arguments of {guarded.application.process.pid}" in told
    assert [where for where, text in told.items() if any(secret in text for secret in secrets)] == []


def test_no_secret_is_in_a_log(guarded: Guarded) -> None:
    """Neither the password of Redis, nor a client's key, nor what it asked."""
    guarded.client.post("/v1/chat/completions", json=CHAT)
    guarded.client.get("/v1/limits", headers={"authorization": "Bearer sk-nobody-0123456789abcdef"})
    secrets = (PASSWORD, KEY, "sk-nobody-0123456789abcdef", "a prompt that nobody else may read")
    arguments = " ".join(
        " ".join(process.cmdline())
        for process in psutil.Process(guarded.application.process.pid).children(recursive=True)
    )
    sessions = set(re.findall(r"/session_[0-9_-]+", arguments))
    assert len(sessions) == 1, sessions
    logs = [path for path in Path(f"/tmp/ray{sessions.pop()}/logs").rglob("*") if path.is_file()]
    assert any("replica_sluice_Ingress" in path.name for path in logs)
    for path in (*logs, guarded.application.log):
        text = path.read_text(errors="replace")
        assert [secret for secret in secrets if secret in text] == [], path
