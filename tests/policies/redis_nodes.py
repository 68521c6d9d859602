"""Several real Redis processes that belong together, on loopback: a primary with replicas and Sentinels, a Cluster."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from tests.policies.redis_server import RedisServer

WITHIN_S = 20
SLOTS = 16_384


def free_ports(count: int) -> list[int]:
    """Ports below those that the system hands out, since a Cluster node also listens at its port + 10000."""
    found: list[int] = []
    at = 20_000 + (os.getpid() * 37 + time.monotonic_ns() // 1000) % 2_000
    while len(found) < count:
        at = at + 1 if at < 22_500 else 20_000
        if at not in found and _free(at) and _free(at + 10_000):
            found.append(at)
    return found


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def until(holds: Callable[[], Any], what: str) -> Any:
    """Waits for something to hold."""
    give_up = time.monotonic() + WITHIN_S
    while True:
        try:
            if found := holds():
                return found
        except redis.RedisError:
            pass
        assert time.monotonic() < give_up, f"{what}: not within {WITHIN_S} s"
        time.sleep(0.02)


class SentinelGroup:
    """One primary, replicas, and three Sentinels that watch them under the name `main`."""

    def __init__(self, binary: str, replicas: int = 2) -> None:
        ports = free_ports(1 + replicas + 3)
        self.primary = RedisServer(binary, port=ports[0]).start()
        options = ("--replicaof", "127.0.0.1", str(ports[0]), "--repl-diskless-sync-delay", "0")
        self.replicas = [RedisServer(binary, *options, port=port).start() for port in ports[1 : 1 + replicas]]
        self.sentinel_ports = ports[1 + replicas :]
        self._folder = Path(tempfile.mkdtemp(prefix="sluice-sentinel-"))
        self.sentinels = []
        for port in self.sentinel_ports:
            config = self._folder / f"{port}.conf"
            config.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {self._folder}\nlogfile {self._folder}/{port}.log\n"
                f"sentinel monitor main 127.0.0.1 {ports[0]} 2\n"
                # Long enough that a busy machine, on which all of them may stand still for a while, is no reason.
                "sentinel down-after-milliseconds main 1500\nsentinel failover-timeout main 2000\n"
            )
            self.sentinels.append(subprocess.Popen([binary, str(config), "--sentinel"], stdin=subprocess.DEVNULL))
        for port in self.sentinel_ports:
            until(lambda port=port: self._sees_all(port, replicas), "every Sentinel sees the others")  # type: ignore[misc]

    def _sees_all(self, port: int, replicas: int) -> bool:
        with redis.Redis(port=port, retry=None) as client:
            state = client.sentinel_master("main")
            synced = [r for r in client.sentinel_slaves("main") if r["master-link-status"] == "ok"]
            return state["num-other-sentinels"] == 2 and len(synced) == replicas

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self.sentinel_ports)}/main"

    def sentinel(self) -> redis.Redis:
        return redis.Redis(port=self.sentinel_ports[-1], retry=None)

    def promoted(self) -> RedisServer:
        """Whichever server is the primary now."""
        for server in (*self.replicas, self.primary):
            try:
                with server.sync() as client:
                    if client.role()[0] == b"master":
                        return server
            except redis.RedisError:
                continue
        raise AssertionError("nobody is the primary")

    def close(self) -> None:
        for process in self.sentinels:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        for server in (self.primary, *self.replicas):
            server.close()


class ClusterGroup:
    """A Redis Cluster: primaries that share the slots evenly, and a replica of the first where asked for."""

    def __init__(self, binary: str, primaries: int = 3, replicas: int = 0, options: tuple[str, ...] = ()) -> None:
        ports = free_ports(primaries + replicas)
        options = (
            *options,
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "500",
            "--cluster-replica-validity-factor",
            "0",
        )
        options = (*options, "--repl-diskless-sync-delay", "0")
        self.servers = [RedisServer(binary, *options, port=port).start() for port in ports]
        self.primaries = self.servers[:primaries]
        self.replicas = self.servers[primaries:]
        share = -(-SLOTS // primaries)
        for n, server in enumerate(self.primaries):
            slots = range(n * share, min(SLOTS, (n + 1) * share))
            with server.sync() as client:
                client.execute_command("CLUSTER", "ADDSLOTS", *slots)
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
        for server in self.servers[1:]:
            with server.sync() as client:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0])
        for server in self.servers:
            until(lambda server=server: self._joined(server), "the Cluster is formed")  # type: ignore[misc]
        first = self.node_id(self.primaries[0])
        for server in self.replicas:
            with server.sync() as client:
                client.execute_command("CLUSTER", "REPLICATE", first)
            until(lambda server=server: self._replicates(server), "the replica follows")  # type: ignore[misc]

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{server.port}' for server in self.primaries)}"

    def _joined(self, server: RedisServer) -> bool:
        with server.sync() as client:
            info = client.execute_command("CLUSTER", "INFO")
            text = info if isinstance(info, dict) else dict(line.split(":") for line in info.decode().split())
            return text["cluster_state"] == "ok" and int(text["cluster_known_nodes"]) == len(self.servers)

    def _replicates(self, server: RedisServer) -> bool:
        with server.sync() as client:
            info = client.info("replication")
            return info["role"] == "slave" and info["master_link_status"] == "up"

    def node_id(self, server: RedisServer) -> str:
        with server.sync() as client:
            return str(client.execute_command("CLUSTER", "MYID").decode())

    def owner(self, slot: int) -> RedisServer:
        """The primary that was given a slot at the start."""
        return self.primaries[slot // -(-SLOTS // len(self.primaries))]

    def empty(self) -> None:
        for server in self.primaries:
            with server.sync() as client:
                client.flushall()

    def close(self) -> None:
        for server in self.servers:
            server.close()
