"""The model router in a process of its own, without Ray: run by `loadtests.bench.growth.router`.

Arguments: a unix socket, how many slots the pool has. Answers calls on the socket: each is a length and a pickled
(report, wait), and so is each answer. Serves until its input ends.
"""

import asyncio
import pickle
import struct
import sys
import time

import uvloop

from deployments.router.exchange.book import SlotBook
from deployments.router.scheduler import QosSettings
from deployments.router.service import RouterService

POOL = "p"
LENGTH = struct.Struct(">I")


async def serve(socket: str, slots: int) -> None:
    service = RouterService(SlotBook([POOL], QosSettings(), time.monotonic, grace_s=0), lambda _: {POOL: slots})

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                report, wait = pickle.loads(await reader.readexactly(length))  # noqa: S301 - from who started this
                told = pickle.dumps(await service.exchange(report, wait))
                writer.write(LENGTH.pack(len(told)) + told)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):  # the last: at the end of all
            writer.close()

    server = await asyncio.start_unix_server(answer, socket)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    await service.close()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
