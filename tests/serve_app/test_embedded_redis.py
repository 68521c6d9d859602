"""The embedded Redis, with every real redis-server of this machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from serve_app import redis_binary
from serve_app.embedded_redis import EmbeddedRedis
from serve_app.errors import EmbeddedRedisError, RedisInUseError
from serve_app.processes import has_ended
from tests.serve_app.waiting import eventually

BINARIES = [
    pytest.param(path, id=".".join(map(str, redis_binary.inspect(path).version))) for path in redis_binary.candidates()
]


def client(url: str) -> Redis:
    return Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 0))


def answers(url: str) -> bool:
    try:
        with client(url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


@pytest.fixture(params=BINARIES)
def binary(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def redis(tmp_path: Path, binary: Path) -> Iterator[EmbeddedRedis]:
    embedded = EmbeddedRedis(tmp_path / "state with 'quotes\"", binaries=[binary])
    yield embedded
    embedded.stop()


def test_it_starts_durable_private_and_on_a_socket_only(redis: EmbeddedRedis) -> None:
    url = redis.start()

    with client(url) as connection:
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
        for name, value in {**wanted, "port": "0", "aof-load-truncated": "yes"}.items():
            assert connection.config_get(name) == {name: value}
    assert oct(Path(url.removeprefix("unix://")).stat().st_mode)[-3:] == "700"
    assert not [c for c in psutil.Process(redis.pid).net_connections("inet") if c.status == "LISTEN"]


def test_data_outlives_a_stop(redis: EmbeddedRedis, tmp_path: Path, binary: Path) -> None:
    with client(redis.start()) as connection:
        connection.xadd("log", {"a": 1})
    redis.stop()
    assert redis.pid is None

    again = EmbeddedRedis(tmp_path / "state with 'quotes\"", binaries=[binary])
    with client(again.start()) as connection:
        assert connection.xlen("log") == 1
    again.stop()


def test_a_killed_server_comes_back_with_everything_it_acknowledged(redis: EmbeddedRedis) -> None:
    url = redis.start()
    with client(url) as connection:
        for number in range(1000):
            connection.rpush("acknowledged", number)
    killed = redis.pid
    os.kill(killed, signal.SIGKILL)

    assert eventually(lambda: redis.pid not in (None, killed) and answers(url))
    with client(url) as connection:
        assert connection.lrange("acknowledged", 0, -1) == [str(number) for number in range(1000)]
    assert redis.restarts == 1


def test_a_file_that_was_cut_short_is_loaded(redis: EmbeddedRedis, tmp_path: Path, binary: Path) -> None:
    with client(redis.start()) as connection:
        connection.set("kept", "yes")
        connection.set("cut", "x" * 100)
    redis.stop()
    data = tmp_path / "state with 'quotes\"" / "redis"
    # One file before Redis 7.0, a directory of parts since.
    (file,) = [p for p in data.rglob("*.aof") if p.stat().st_size]
    with file.open("r+b") as log:
        log.truncate(file.stat().st_size - 20)

    again = EmbeddedRedis(data.parent, binaries=[binary])
    with client(again.start()) as connection:
        assert connection.get("kept") == "yes"
        assert connection.get("cut") is None
    again.stop()


SUPERVISOR = """
import sys, time
from pathlib import Path
from serve_app.embedded_redis import EmbeddedRedis
redis = EmbeddedRedis(Path(sys.argv[1]), binaries=[Path(sys.argv[2])])
print(redis.start(), redis.pid, flush=True)
time.sleep(600)
"""


def start_supervisor(state_dir: Path, binary: Path) -> tuple[subprocess.Popen[str], str, int]:
    process = subprocess.Popen([sys.executable, "-c", SUPERVISOR, state_dir, binary], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url, pid = process.stdout.readline().split()
    return process, url, int(pid)


def test_a_killed_supervisor_takes_the_server_with_it_and_the_next_start_has_the_data(
    tmp_path: Path, binary: Path
) -> None:
    supervisor, url, server_pid = start_supervisor(tmp_path, binary)
    with client(url) as connection:
        connection.set("kept", "yes")
    server = psutil.Process(server_pid)
    supervisor.kill()
    assert eventually(lambda: has_ended(server), 1.0)
    supervisor.communicate()
    again = EmbeddedRedis(tmp_path, binaries=[binary])
    with client(again.start()) as connection:
        assert connection.get("kept") == "yes"
    again.stop()


def test_a_second_server_over_the_same_data_is_refused_and_told_who_has_it(
    redis: EmbeddedRedis, tmp_path: Path
) -> None:
    redis.start()
    second = EmbeddedRedis(tmp_path / "state with 'quotes\"", lock_wait_s=0.2)
    with pytest.raises(RedisInUseError, match=rf"held by .*pid {redis.pid} \(.*redis-server"):
        second.start()


def test_a_second_server_waits_for_the_first_to_end(tmp_path: Path, binary: Path) -> None:
    supervisor, _, _ = start_supervisor(tmp_path, binary)
    second = EmbeddedRedis(tmp_path, binaries=[binary], lock_wait_s=10)
    supervisor.terminate()
    supervisor.communicate()
    assert answers(second.start())
    second.stop()


def test_a_server_that_cannot_start_says_why(tmp_path: Path, binary: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonly.aof").write_text("this is no append-only file\n")
    with pytest.raises(EmbeddedRedisError, match=r"(?s)ended at once \(exit status 1\).*Bad file format"):
        EmbeddedRedis(tmp_path, binaries=[binary]).start()
    # and it lets go of the lock, so that a repaired file can be used
    for part in [path for path in (tmp_path / "redis").rglob("*.aof*") if path.is_file()]:
        part.unlink()
    repaired = EmbeddedRedis(tmp_path, binaries=[binary], lock_wait_s=0)
    assert answers(repaired.start())
    repaired.stop()


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedRedisError, match=r"cannot make .*/file/redis.*Set args.state_dir"):
        EmbeddedRedis(tmp_path / "file").start()
