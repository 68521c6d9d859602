"""The built page as HTTP sends it, over a build made by hand: what a browser may keep, and what it may do."""

import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deployments.ingress.app import create_app
from deployments.ingress.page.files import PAGES, ROOT_FILES
from deployments.ingress.state import IngressState

INDEX = "<!doctype html><title>Sluice</title><script type=module src=assets/index-1a2b.js></script>"
SCRIPT = "console.log('sluice');" * 100


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """The folder of a build that has not been made yet."""
    return tmp_path / "dist"


def make(build: Path, index: str = INDEX) -> None:
    (build / "assets").mkdir(parents=True, exist_ok=True)
    (build / "index.html").write_text(index)
    (build / "redoc.html").write_text("<!doctype html><title>Redoc</title>")
    (build / "licenses.txt").write_text("MIT")
    (build / "assets" / "index-1a2b.js").write_text(SCRIPT)
    (build / "assets" / "index-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (build / "secret.txt").write_text("not asked for")


@pytest.fixture
async def browser(state: IngressState, build: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(state, build=build))
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice") as browser:
        yield browser


async def test_the_page_is_asked_for_again_each_time(browser: httpx.AsyncClient, build: Path) -> None:
    make(build)
    reply = await browser.get("/")
    assert (reply.status_code, reply.text) == (200, INDEX)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    again = await browser.get("/", headers={"if-none-match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    times = (build / "index.html").stat()
    make(build, INDEX.replace("1a2b", "3c4d"))
    os.utime(build / "index.html", ns=(times.st_atime_ns, times.st_mtime_ns))  # as in an image, where all times are one
    changed = await browser.get("/", headers={"if-none-match": reply.headers["etag"]})
    assert (changed.status_code, changed.text) == (200, INDEX.replace("1a2b", "3c4d"))


async def test_what_is_named_by_its_content_is_kept_for_a_year(browser: httpx.AsyncClient, build: Path) -> None:
    make(build)
    reply = await browser.get("/assets/index-1a2b.js", headers={"accept-encoding": "identity"})
    assert (reply.status_code, reply.text) == (200, SCRIPT)
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "javascript" in reply.headers["content-type"]
    assert (await browser.get("/licenses.txt")).headers["cache-control"] == "no-cache"


async def test_what_the_build_compressed_is_sent_so_to_who_takes_it(browser: httpx.AsyncClient, build: Path) -> None:
    make(build)
    sizes = {}
    for accepted, encoding in (("gzip, br", "gzip"), ("br", None)):
        reply = await browser.get("/assets/index-1a2b.js", headers={"accept-encoding": accepted})
        assert reply.text == SCRIPT  # httpx undoes the encoding
        assert reply.headers.get("content-encoding") == encoding
        assert "javascript" in reply.headers["content-type"]
        assert reply.headers["vary"] == "accept-encoding"
        sizes[accepted] = int(reply.headers["content-length"])
    assert sizes["gzip, br"] < sizes["br"] / 5
    plain = await browser.get("/", headers={"accept-encoding": "gzip"})  # the build left this one as it is
    assert (plain.text, plain.headers.get("content-encoding")) == (INDEX, None)


@pytest.mark.parametrize("path", ["/", "/redoc", "/licenses.txt", "/assets/index-1a2b.js"])
async def test_a_head_is_the_reply_without_its_body(browser: httpx.AsyncClient, build: Path, path: str) -> None:
    make(build)
    whole, head = await browser.get(path), await browser.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "cache-control", "content-security-policy"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/licenses.txt", "/assets/index-1a2b.js"])
async def test_every_reply_says_what_may_be_done_with_it(browser: httpx.AsyncClient, build: Path, path: str) -> None:
    make(build)
    headers = (await browser.get(path)).headers
    policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert "script-src" not in policy
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/nothing.js",
        "/assets/",
        "/assets/../secret.txt",
        "/assets/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%00",
        "/assets//etc/passwd",
        f"/assets/{'a' * 5000}",
        "/secret.txt",
        "/index.html",
    ],
)
async def test_nothing_else_is_sent(browser: httpx.AsyncClient, build: Path, path: str) -> None:
    make(build)
    reply = await browser.get(path)
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"


async def test_files_are_only_read(browser: httpx.AsyncClient, build: Path) -> None:
    make(build)
    for path in ("/", "/assets/index-1a2b.js"):
        reply = await browser.post(path)
        assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", PAGES)
async def test_without_a_build_it_says_how_to_make_one(browser: httpx.AsyncClient, build: Path, path: str) -> None:
    reply = await browser.get(path)
    assert reply.status_code == 200
    assert "make page" in reply.text
    assert 'href="openapi.json"' in reply.text
    assert reply.headers["cache-control"] == "no-store"
    assert (await browser.get("/healthz")).json() == {"status": "ok"}
    head = await browser.head(path)
    assert (head.status_code, head.content) == (200, b"")
    make(build)
    assert ("make page" in (await browser.get("/")).text) is False, "a build needs no restart"


@pytest.mark.parametrize("name", ROOT_FILES)
async def test_a_file_that_the_build_lacks_is_not_there(browser: httpx.AsyncClient, build: Path, name: str) -> None:
    assert (await browser.get(f"/{name}")).status_code == 404
