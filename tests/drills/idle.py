"""Ten thousand streaming clients that are idle: all stay open, all get their next token, others are served beside them,
and all is given back when they leave."""

import asyncio
import json
import resource
import time

from serve_app.haproxy import most_clients
from tests.drills.clients import chat, request, told
from tests.drills.kit.application import IDLE_TOKEN_S
from tests.drills.kit.drill import ALWAYS, Drill
from tests.drills.kit.scene import INGRESS, Scene
from tests.drills.kit.streams import Standing, Streams

IDLE = 10_000
OTHERS = 50
"""Connections of HAProxy that are left to others."""

OPEN_S = 150.0
"""By when all must be open."""
LATE_S = 30.0
"""By how much a token may be late, of ten thousand that come in a minute."""


async def _idle_streams(scene: Scene) -> None:
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(IDLE, most_clients(most_files) - OTHERS)
    body = json.dumps(chat("long", stream=True)).encode()
    streams = Streams(scene.app.url, request(scene, body))
    try:
        opened = await streams.open(wanted, OPEN_S)
        opened = await streams.mark()  # from here on each has a token to come
        files = [process.num_fds() for process in scene.app.processes(INGRESS)]
        memory = [process.memory_info().rss >> 20 for process in scene.app.processes(INGRESS)]
        scene.notes.append(
            f"{opened.open} of {wanted} idle streams open after {opened.took_s:.0f} s ({most_files} files at most for "
            f"a process, and HAProxy has two for each stream; {max(files)} files and {max(memory)} MiB in an ingress)"
        )
        assert (opened.opened, opened.open) == (wanted, wanted), (
            f"{opened.open} of {opened.opened} open; refused: {told(opened.refused)}, "
            f"{opened.refused_at_s[0]:.1f} to {opened.refused_at_s[1]:.1f} s from the start"
        )
        scene.load.begin()  # others are served meanwhile
        standing = await _until_all_got_one(streams)
        held = await scene.slots()
        await scene.load.pause()
        scene.notes.append(
            f"{standing.open} of them open after each had another token; others: {told(scene.load.seen())}"
        )
        assert (standing.open, standing.silent) == (wanted, 0), f"{standing.silent} of {standing.open} got no token"
        assert min(held["slots in use"], held["leases"]) >= wanted, f"not held for all of them: {held}"
        scene.problems += [f"others saw {what} beside idle streams" for what in scene.load.seen() if what not in ALWAYS]
        assert scene.load.seen()["200"], "nobody else was served"
    finally:
        await streams.close()


async def _until_all_got_one(streams: Streams) -> Standing:
    give_up = time.monotonic() + IDLE_TOKEN_S + LATE_S
    while True:
        standing = await streams.standing()
        if not standing.silent or time.monotonic() > give_up:
            return standing
        await asyncio.sleep(1)


FAULT = f"{IDLE:,} idle streaming clients, or as many as HAProxy may open files for, who then leave at once"
DRILLS = [Drill("idle-streams", FAULT, _idle_streams, loaded=False)]
