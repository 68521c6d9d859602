"""What befalls Redis and the way to it: kill -9, a freeze, slow replies, a full disk, no memory, a cut network, a clock
that jumps."""

import asyncio
import signal

from tests.drills.kit.drill import STORE_AWAY, Drill, Skipped
from tests.drills.kit.redis import FAKETIME
from tests.drills.kit.scene import Scene

BROKEN_S = 3.0
"""How long a fault lasts."""

SLOW_S, TOO_SLOW_S = 0.1, 2.0
"""Below the deadline of a check, and far above it."""

JUMP_S = 7.0
"""More than a window, so that a jump empties it, and a jump back stands still for longer than one."""


async def _killed(scene: Scene) -> None:
    await asyncio.to_thread(scene.redis.kill)
    await asyncio.sleep(BROKEN_S)
    await asyncio.to_thread(scene.redis.start)


async def _frozen(scene: Scene) -> None:
    scene.redis.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(BROKEN_S)
    finally:
        scene.redis.signal(signal.SIGCONT)


async def _slow(scene: Scene) -> None:
    try:
        for delay_s in (SLOW_S, TOO_SLOW_S):
            await asyncio.to_thread(scene.proxy.delay, delay_s)
            await asyncio.sleep(BROKEN_S)
    finally:
        await asyncio.to_thread(scene.proxy.delay, 0.0)


async def _full_disk(scene: Scene) -> None:
    if scene.redis.disk_why_not:
        raise Skipped(f"no small disk can be mounted: {scene.redis.disk_why_not}")
    ballast = scene.redis.folder / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
            except OSError:
                pass  # full

    try:
        await asyncio.to_thread(fill)
        await scene.until(lambda: _write_status(scene) == "err", "Redis notices that its disk is full", 30)
        await asyncio.sleep(BROKEN_S)
    finally:
        ballast.unlink()
    await scene.until(lambda: _write_status(scene) == "ok", "Redis writes again", 30)


def _write_status(scene: Scene) -> str:
    with scene.redis.sync() as redis:
        return str(redis.info("persistence")["aof_last_write_status"])


async def _out_of_memory(scene: Scene) -> None:
    def set_most(to: int) -> None:
        with scene.redis.sync() as redis:
            redis.config_set("maxmemory", to)

    await asyncio.to_thread(set_most, 100_000)  # less than it has in use
    try:
        await asyncio.sleep(BROKEN_S)
    finally:
        await asyncio.to_thread(set_most, 0)


async def _cut(scene: Scene) -> None:
    if not scene.redis.inside:
        raise Skipped(f"no network namespace can be made: {scene.redis.namespace.why_not}")
    await asyncio.to_thread(scene.redis.namespace.cut, True)
    try:
        await asyncio.sleep(BROKEN_S)
    finally:
        await asyncio.to_thread(scene.redis.namespace.cut, False)


async def _clock(scene: Scene) -> None:
    if not FAKETIME.exists():
        raise Skipped(f"{FAKETIME} is not there (Debian: libfaketime)")

    def time_s() -> float:
        with scene.redis.sync() as redis:
            seconds, micros = redis.time()
            return float(seconds) + float(micros) / 1e6

    before = await asyncio.to_thread(time_s)
    scene.redis.set_clock(JUMP_S)
    await asyncio.sleep(BROKEN_S)
    jumped = await asyncio.to_thread(time_s)
    scene.redis.set_clock(0)
    assert jumped - before > JUMP_S, f"the clock of Redis did not jump: {jumped - before:.1f} s"
    scene.notes.append("after the jump back, logs stand still until the clock has caught up")


DRILLS = [
    Drill("redis-kill", "kill -9 of Redis, started again 3 s later", _killed, STORE_AWAY),
    Drill("redis-freeze", "SIGSTOP of Redis for 3 s", _frozen, STORE_AWAY),
    Drill("redis-slow", "each reply of Redis 0.1 s late for 3 s, then 2 s late for 3 s", _slow, STORE_AWAY),
    Drill("disk-full", "the disk of the append-only file full", _full_disk, STORE_AWAY),
    Drill("redis-memory", "Redis at its maxmemory (noeviction) for 3 s", _out_of_memory, STORE_AWAY),
    Drill("network-cut", "the network to Redis cut for 3 s, between two namespaces", _cut, STORE_AWAY),
    Drill("redis-clock", "the clock of Redis 7 s ahead for 3 s, then back", _clock),
]
