"""The access log: a line for each request, without secrets, and never in a request's way."""

import asyncio
import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from deployments.ingress import access_log as module
from deployments.ingress.access_log import AccessLog, into_files
from deployments.ingress.inference.exchange import Exchange, Used
from deployments.ingress.state import IngressState
from tests.deployments.ingress.conftest import secret, use

CHAT = {"model": "small", "max_tokens": 5, "messages": [{"role": "user", "content": "Hello there"}]}
ONE = {"name": "one", "scope": "API_KEY", "limit": 1, "window": "1m"}


@pytest.fixture
def path(state: IngressState, tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    state.access_log = AccessLog(into_files(path))
    return path


def text_of(path: Path) -> str:
    return path.read_text()


async def lines(state: IngressState, path: Path) -> list[dict[str, Any]]:
    assert state.access_log is not None
    await state.access_log.flush()
    return [json.loads(line) for line in text_of(path).splitlines()]


async def test_each_request_has_a_line(client: httpx.AsyncClient, state: IngressState, path: Path) -> None:
    use(state, ONE)
    ids = [(await client.post("/v1/chat/completions", json=CHAT)).headers["x-request-id"] for _ in range(2)]
    wrong = {"authorization": "Bearer sk-nobody-" + "x" * 24}
    ids.append((await client.post("/v1/chat/completions", json=CHAT, headers=wrong)).headers["x-request-id"])
    served, denied, unknown = await lines(state, path)
    assert [line["request_id"] for line in (served, denied, unknown)] == ids
    assert set(served) == {
        *("time", "request_id", "tenant", "band", "model", "outcome", "status", "code"),
        *("admission_ms", "first_token_ms", "total_ms", "input_tokens", "output_tokens"),
    }
    who = ("tenant", "band", "model", "outcome", "status", "code", "output_tokens")
    assert [served[name] for name in who] == ["globex", "standard", "small", "served", 200, None, 5]
    assert [denied[name] for name in who] == ["globex", "standard", "small", "denied", 429, "rate_limit_exceeded", 0]
    assert [unknown[name] for name in who] == ["_none", "_none", "_none", "refused", 401, "invalid_api_key", 0]
    assert 0 <= served["admission_ms"] <= served["total_ms"]
    assert served["first_token_ms"] is denied["admission_ms"] is None
    page = (Path(__file__).parents[3] / "docs" / "logs.md").read_text()
    assert [name for name in served if f"`{name}`" not in page] == [], "every field is documented"


async def test_a_stream_has_the_time_of_its_first_token(
    client: httpx.AsyncClient, state: IngressState, path: Path
) -> None:
    await client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    (line,) = await lines(state, path)
    assert 0 < line["first_token_ms"] <= line["total_ms"]


async def test_no_secret_is_in_it(client: httpx.AsyncClient, state: IngressState, path: Path) -> None:
    key, prompt = secret("gus1"), "the-secret-of-the-prompt"
    body = {**CHAT, "messages": [{"role": "user", "content": prompt}], "user": prompt, "model": prompt}
    for sent in (body, {**body, "model": "small"}, {**body, "messages": prompt}, {**body, "model": key}):
        await client.post("/v1/chat/completions", json=sent, headers={"x-request-id": f"mine {key}"})
    await client.post(f"/v1/chat/completions?key={key}&prompt={prompt}", content=prompt, headers={"x-api-key": key})
    await client.post("/v1/chat/completions", json=body, headers={"authorization": f"Basic {prompt}"})
    await client.post("/v1/chat/completions", json=body, headers={"authorization": "Bearer sk-nobody-" + "x" * 24})
    found = await lines(state, path)
    assert len(found) == 7
    text = text_of(path)
    assert key not in text
    assert "s" * 24 not in text
    assert "x" * 24 not in text
    assert prompt not in text
    assert found[0]["request_id"] == "mine …"


def ended() -> Exchange:
    async def send(_: Any) -> None:
        raise AssertionError("nothing is sent")

    return Exchange({"type": "http", "headers": []}, send)


async def test_a_disk_that_stands_still_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    goes_on, written = threading.Event(), []

    def write(text: bytes) -> None:
        goes_on.wait(10)
        written.append(text)

    log = AccessLog(write)
    log.ended(ended())
    writing = asyncio.create_task(log.flush())
    while log._waiting:
        await asyncio.sleep(0)
    for _ in range(5):  # while it is stuck
        log.ended(ended())
    assert not writing.done()
    goes_on.set()
    await writing
    await log.flush()
    assert [text.count(b"\n") for text in written] == [1, 4]
    assert json.loads(written[1].splitlines()[-1])["lines_dropped"] == 2


async def test_it_is_written_in_the_background_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.001)
    written: list[bytes] = []
    failures = [OSError(28, "No space left on device")]

    def write(text: bytes) -> None:
        if failures:
            raise failures.pop()
        written.append(text)

    log = AccessLog(write)
    log.start()
    log.ended(ended())
    while "No space left" not in caplog.text:
        await asyncio.sleep(0.001)
    log.ended(ended())
    while not written:
        await asyncio.sleep(0.001)
    log.ended(ended())
    await log.close()
    assert b"".join(written).count(b"\n") == 2


async def test_its_end_waits_for_what_is_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.001)
    begun, goes_on, at_once, written = threading.Event(), threading.Event(), threading.Lock(), []

    def write(text: bytes) -> None:
        assert at_once.acquire(blocking=False), "files are put aside by one at a time"
        begun.set()
        goes_on.wait(10)
        written.append(text)
        at_once.release()

    log = AccessLog(write)
    log.start()
    log.ended(ended())
    await asyncio.to_thread(begun.wait, 10)
    log.ended(ended())
    closing = asyncio.create_task(log.close())
    await asyncio.wait([closing], timeout=0.1)
    assert not closing.done()
    goes_on.set()
    await closing
    assert [text.count(b"\n") for text in written] == [1, 1]


async def test_a_line_that_cannot_be_written_ends_no_more_than_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.001)
    written: list[bytes] = []
    log = AccessLog(written.append)
    log.start()
    wrong = ended()
    wrong.used = Used(1 << 70)  # more than JSON's writer takes
    wrong.used.ran = True
    log.ended(wrong)
    async with asyncio.timeout(10):
        while "64-bit" not in caplog.text:
            await asyncio.sleep(0.001)
    log.ended(ended())
    await log.close()
    assert len(written) == 1


async def test_a_full_disk_at_the_end_keeps_nothing_else_from_ending(
    state: IngressState, caplog: pytest.LogCaptureFixture
) -> None:
    def write(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    closed: list[str] = []
    state.access_log, state.tracer = AccessLog(write), cast(Any, SimpleNamespace(close=lambda: closed.append("tracer")))
    state.access_log.start()
    state.access_log.ended(ended())
    await state.close()
    assert closed == ["tracer"]
    assert "No space left" in caplog.text


def test_a_large_file_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE_BYTES", 100)
    monkeypatch.setattr(module, "FILES", 2)
    write = into_files(tmp_path / "access.log")
    for number in range(20):
        write(b"%060d\n" % number)
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["access.log", "access.log.1", "access.log.2"]
    assert int((tmp_path / "access.log").read_text()) == 19


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        into_files(tmp_path / "nowhere" / "access.log")(b"line\n")
