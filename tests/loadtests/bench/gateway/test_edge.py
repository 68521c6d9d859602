"""The edge of a window, against limiters whose counting is known."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtests.bench.gateway import edge

LIMIT, WINDOW_S = 4, 3


@pytest.fixture(autouse=True)
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("EDGE_LIMIT", LIMIT), ("WINDOW_S", WINDOW_S), ("BEFORE_S", 2), ("AFTER_S", 0.2)):
        monkeypatch.setattr(edge, name, value)


def sliding() -> Callable[[], int]:
    admitted: list[float] = []

    def decide() -> int:
        now = time.monotonic()
        if sum(at > now - WINDOW_S for at in admitted) >= LIMIT:
            return 429
        admitted.append(now)
        return 200

    return decide


def fixed() -> Callable[[], int]:
    began, count = time.monotonic() - WINDOW_S, 0

    def decide() -> int:
        nonlocal began, count
        if time.monotonic() >= began + WINDOW_S:
            began, count = time.monotonic(), 0
        count += 1
        return 200 if count <= LIMIT else 429

    return decide


@contextmanager
def served(decide: Callable[[], int]) -> Iterator[str]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            with lock:
                status = decide()
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_sliding_window_gives_back_what_has_left_it() -> None:
    with served(sliding()) as url:
        found = edge.at_the_edge(url)
    assert (found.before, found.after, found.ratio) == (LIMIT - 1, 1, 1)


def test_a_fixed_window_lets_almost_twice_the_limit_through() -> None:
    with served(fixed()) as url:
        found = edge.at_the_edge(url)
    assert (found.before, found.after, found.ratio) == (LIMIT - 1, LIMIT, (2 * LIMIT - 1) / LIMIT)


@pytest.mark.parametrize("status", [200, 500])
def test_a_server_that_never_denies_is_no_limiter(status: int) -> None:
    with served(lambda: status) as url, pytest.raises(edge.EdgeError, match=f"{{{status}: {3 * LIMIT}}}"):
        edge.at_the_edge(url)
