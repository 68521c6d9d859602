"""What wrk says, read; and wrk itself against a small server, where it is installed."""

import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, ClassVar

import pytest

from loadtests.bench.wrk import END_OF_STREAM, Figures, WrkError, drive, parse

SAID = """Running 2s test @ http://127.0.0.1:8000/
  1 threads and 16 connections
  3300 requests in 2.00s, 1.2MB read
figures: {"took_us": 2000000, "requests": 3300, "bytes": 4000, "p50_us": 7500, "p99_us": 26250, "max_us": 34165, \
"mean_us": 8000, "timed": 3300, "errors": 2, "timeouts": 1, "cut_short": 5, \
"by_status": {"503": 100, "200": 3200}, "sample": "{'a'}"}
"""


def test_figures_are_read() -> None:
    assert parse(SAID) == Figures(
        requests_s=1650,
        p50_ms=7.5,
        p99_ms=26.25,
        by_status={200: 3200, 503: 100},
        errors=3,
        cut_short=5,
        mean_ms=8,
        max_ms=34.165,
        bytes_s=2000,
        sample="{'a'}",
    )


def test_what_is_wrong_is_no_throughput() -> None:
    found = parse(SAID)
    assert found.wrong() == 100 + 3 + 5
    assert found.right_s() == pytest.approx(1650 * (3200 - 5) / 3300)
    assert found.wrong(503) == 3200 + 3 + 5
    assert Figures(0, 0, 0, {}).right_s() == 0


def test_output_without_figures() -> None:
    with pytest.raises(WrkError, match="no figures"):
        parse("unable to connect")


def test_more_times_than_replies_are_none() -> None:
    with pytest.raises(WrkError, match="3301 times of 3300 replies"):
        parse(SAID.replace('"timed": 3300', '"timed": 3301'))


def test_without_wrk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WrkError, match="apt install wrk"):
        drive("http://127.0.0.1:1/", connections=1, duration_s=1)


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: ClassVar[Any] = count()
    seen: ClassVar[set[tuple[str | None, bytes]]] = set()

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"]))
        self.seen.add((self.headers["authorization"], sent))
        number = next(self.asked)
        status, body = ((200, END_OF_STREAM), (503, 'a "reason"\n'), (200, "data: cut"))[number % 3]
        head = f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\n\r\n"
        self.wfile.write((head + body).encode())

    def log_message(self, *_: Any) -> None:
        """Is silent."""


class _Slow(_Server):
    """Two of seven replies take forty times as long."""

    def do_GET(self) -> None:
        time.sleep(0.08 if next(self.asked) % 7 in (0, 3) else 0.002)
        self.wfile.write(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n")


@pytest.fixture(params=[_Server])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), request.param)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk, which only the benchmarks do")
def test_it_sends_and_counts(url: str) -> None:
    found = drive(url, '{"a": 1}', {"Authorization": "Bearer k"}, connections=1, duration_s=1, ending=END_OF_STREAM)
    assert _Server.seen == {("Bearer k", b'{"a": 1}')}
    whole_or_cut, failed = found.by_status[200], found.by_status[503]
    assert abs(whole_or_cut - 2 * failed) <= 2
    assert abs(found.cut_short - failed) <= 1
    assert found.sample == "a 'reason''"
    assert found.errors == 0
    assert 0 < found.p50_ms <= found.p99_ms <= found.max_ms


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk, which only the benchmarks do")
@pytest.mark.parametrize("url", [_Slow], indirect=True)
def test_times_are_those_that_were_measured(url: str) -> None:
    found = drive(url, connections=1, duration_s=2)
    assert found.p50_ms < 20 < found.p99_ms, "wrk's own median is that of times it has added: above 30"
    assert found.mean_ms * found.requests_s == pytest.approx(1000, rel=0.1), "one client is always waiting"


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk, which only the benchmarks do")
def test_nobody_there() -> None:
    with pytest.raises(WrkError, match="Connection refused"):
        drive("http://127.0.0.1:9/", connections=1, duration_s=1)
