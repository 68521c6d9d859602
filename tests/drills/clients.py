"""What clients do: keys that nobody knows, readers that do not read, bodies that are
huge or deep, connections that say half of what they came for."""

import asyncio
import contextlib
import json
import multiprocessing
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from urllib.parse import urlsplit

import httpx

from tests.drills.kit.application import KEYS
from tests.drills.kit.drill import NO_REPLY, Drill
from tests.drills.kit.load import judge
from tests.drills.kit.scene import INGRESS, Scene

UNKNOWN, UNKNOWN_AT_ONCE = 2_000, 16
SHUT_OUT = "429 too_many_failed_authentications"
"""What an address is told that sent too many keys that nobody has."""

SLOW_READERS, HALF_OPEN = 100, 300
DEEP = 100_000
HUGE_BYTES = 64 << 20


async def _unknown_keys(scene: Scene) -> None:
    """Each with an id of its own. Asked by a process of its own: the load lives in this one's loop."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
        began = time.monotonic()
        seen, problems = await asyncio.get_running_loop().run_in_executor(apart, flood, scene.app.url, UNKNOWN)
    scene.notes.append(f"{UNKNOWN} keys at {UNKNOWN / (time.monotonic() - began):.0f}/s: {told(seen)}")
    scene.problems += problems
    scene.problems += [
        f"an unknown key was told {what}" for what in seen if what not in ("401 invalid_api_key", SHUT_OUT)
    ]


def flood(url: str, requests: int) -> tuple[Counter[str], list[str]]:
    """Asks as fast as it can, each time with another unknown key: what it was told, and what was wrong with how."""
    numbers = iter(range(requests))
    seen: Counter[str] = Counter()
    problems: set[str] = set()

    async def ask_on(http: httpx.AsyncClient) -> None:
        for number in numbers:
            headers = {"authorization": f"Bearer sk-nobody{number}-{'x' * 24}"}
            reply = await http.post("/v1/chat/completions", json=chat("quick"), headers=headers)
            what, problem = judge(reply)
            seen[what] += 1
            # The reader of replies knows the codes that valid keys are told; times to wait it has read before.
            known = what == SHUT_OUT and problem == f"{SHUT_OUT}: an unknown code of a 429"
            if problem is not None and not known:
                problems.add(problem)

    async def ask_all() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
            await asyncio.gather(*(ask_on(http) for _ in range(UNKNOWN_AT_ONCE)))

    asyncio.run(ask_all())
    return seen, sorted(problems)


def chat(model: str, **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}


def request(scene: Scene, body: bytes, tenant: str = "roomy", length: int | None = None) -> bytes:
    address = urlsplit(scene.app.url)
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        f"host: {address.netloc}",
        f"authorization: Bearer {KEYS[tenant]}",
        "content-type: application/json",
        f"content-length: {len(body) if length is None else length}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


async def _connect(scene: Scene) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(scene.app.url)
    return await asyncio.open_connection(address.hostname, address.port)


async def _slow_readers(scene: Scene) -> None:
    """Streams of which nothing is read for seconds; then all is, and whole."""
    body = request(scene, json.dumps(chat("quick", stream=True, max_tokens=8)).encode())

    async def read() -> bool:
        reader, writer = await _connect(scene)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(body)
        await asyncio.sleep(4)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        try:
            text = await asyncio.wait_for(reader.readuntil(b"data: [DONE]"), 30)
            return text.startswith(b"HTTP/1.1 200")
        finally:
            writer.close()

    whole = sum(await asyncio.gather(*(read() for _ in range(SLOW_READERS))))
    scene.notes.append(f"{whole} of {SLOW_READERS} streams came whole")
    assert whole == SLOW_READERS


async def _bodies(scene: Scene) -> None:
    """Each is refused for what it is, and nothing falls over."""
    before = {process.pid for process in scene.app.processes(INGRESS)}
    bodies = {
        "64 MiB": b'{"model": "quick", "messages": "' + b"x" * HUGE_BYTES + b'"}',
        "100,000 lists deep": b'{"model": "quick", "messages": ' + b"[" * DEEP + b"]" * DEEP + b"}",
        "100,000 objects deep": b'{"a": ' * DEEP + b"1" + b"}" * DEEP,
        "a number of 100,000 digits": b'{"model": "quick", "messages": [], "n": ' + b"9" * DEEP + b"}",
        "no UTF-8": b'{"model": "\xff\xfe"}',
        "a lone surrogate": b'{"model": "\\ud800", "messages": [{"role": "user", "content": "\\udfff"}]}',
        "NaN": b'{"model": "quick", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        "nothing": b"",
    }
    async with scene.client("roomy") as http:
        for name, body in bodies.items():
            try:
                reply = await http.post(
                    "/v1/chat/completions", content=body, headers={"content-type": "application/json"}
                )
                what, problem = judge(reply)
            except httpx.TransportError:
                what, problem = NO_REPLY, None
            scene.notes.append(f"{name}: {what}")
            if problem is not None:
                scene.problems.append(f"{name}: {problem}")
            # A server may close on a body that it will not read to its end.
            if not what.startswith(("400 ", "404 ", "413 ", "422 ")) and (name, what) != ("64 MiB", NO_REPLY):
                scene.problems.append(f"{name}: {what}")
    assert {process.pid for process in scene.app.processes(INGRESS)} == before, "an ingress fell"


async def _half_open(scene: Scene) -> None:
    """Half a head, and half a body, and then silence."""
    whole = request(scene, b'{"model"', length=500)
    writers = []
    for number in range(HALF_OPEN):
        _, writer = await _connect(scene)
        writer.write(whole[: 60 if number % 2 else len(whole)])
        writers.append(writer)
    await asyncio.sleep(3)
    for writer in writers:
        with contextlib.suppress(OSError):
            writer.transport.abort()
    scene.notes.append(f"{HALF_OPEN} connections")


def told(seen: Counter[str]) -> str:
    return ", ".join(f"{count} x {what}" for what, count in seen.most_common())


DRILLS = [
    Drill("unknown-keys", f"{UNKNOWN} requests, each with another unknown key", _unknown_keys),
    Drill("slow-readers", f"{SLOW_READERS} streams that are not read for 4 s", _slow_readers),
    Drill("bodies", "bodies of 64 MiB, 100,000 levels deep, and no JSON", _bodies),
    Drill("half-open", f"{HALF_OPEN} connections with half a head or half a body, then silence", _half_open),
]
