"""Sends the built page: which files there are to a browser, how long it may keep them, and what they may do there."""

import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.staticfiles import NotModifiedResponse, PathLike, StaticFiles
from starlette.types import Scope

from deployments.ingress.page.build import NOT_BUILT, STYLE_HASH

PAGES = {"/": "index.html", "/docs": "docs.html", "/redoc": "redoc.html"}
"""What is loaded by address, and the file of the build."""

ROOT_FILES = ("icon.svg", "licenses.txt")
"""What else stands at the root of the build."""

_ASSETS = "assets/"
_ALWAYS_ASK = "no-cache"
_KEEP = "public, max-age=31536000, immutable"
"""A year: the names of these files change with what is in them."""


def _policy(**more: str) -> str:
    sources = {
        "default-src": "'self'",
        "img-src": "'self' data:",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    sources |= {name.replace("_", "-"): value for name, value in more.items()}
    return "; ".join(f"{name} {value}" for name, value in sources.items())


_REDOC_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",  # the empty one, whose rules are added by script
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
)
"""The style elements that Redoc makes; the tests in a browser notice when another version makes others."""

POLICIES: Mapping[str, str] = {
    "redoc.html": _policy(style_src=" ".join(("'self'", *_REDOC_STYLES)), worker_src="blob:")
}
"""Content-Security-Policies of files that need another. Redoc's search is a worker that it keeps in a string."""

_HEADERS = {
    "content-security-policy": _policy(),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class BuiltFiles(StaticFiles):
    """The files of a build. It may be made, or made again, while this process runs."""

    def __init__(self, build: Path) -> None:
        super().__init__(directory=build, check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file with its headers; the one that the build compressed where the browser takes that. 404 if absent."""
        response = None
        if "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            try:
                response = await super().get_response(f"{path}.gz", scope)
                response.headers["content-encoding"] = "gzip"
            except HTTPException as error:
                if error.status_code != 404:
                    raise
        response = response or await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        response.headers["content-security-policy"] = POLICIES.get(path, _HEADERS["content-security-policy"])
        response.headers["cache-control"] = _KEEP if path.startswith(_ASSETS) else _ALWAYS_ASK
        response.headers["vary"] = "accept-encoding"
        return response

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Tells versions apart by content where the name does not. By time and size, as Starlette does, two builds of
        index.html can look the same: their size mostly is, and images and packages set all times to one."""
        if Path(full_path).parent.name == _ASSETS.rstrip("/"):
            return super().file_response(full_path, stat_result, scope, status_code)
        etag = f'"{hashlib.sha256(Path(full_path).read_bytes()).hexdigest()[:32]}"'
        response = FileResponse(full_path, status_code, {"etag": etag}, stat_result=stat_result)
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response


def page_routes(build: Path) -> list[Route]:
    """The routes of the page, for a build in this folder."""
    files = BuiltFiles(build)

    def page(file: str) -> Callable[[Request], Awaitable[Response]]:
        async def send(request: Request) -> Response:
            try:
                return await files.get_response(file, request.scope)
            except HTTPException as error:
                if error.status_code != 404:
                    raise
                return not_built()

        return send

    async def file(request: Request) -> Response:
        path = files.get_path(request.scope)
        if path not in ROOT_FILES and not path.startswith(_ASSETS):  # as /assets/../x
            raise HTTPException(404)
        return await files.get_response(path, request.scope)

    return [
        *(Route(path, page(name)) for path, name in PAGES.items()),
        *(Route(f"/{name}", file) for name in ROOT_FILES),
        Route(f"/{_ASSETS}{{path:path}}", file),
    ]


def not_built() -> Response:
    """What is sent where there is no build."""
    policy = _policy(style_src=STYLE_HASH)
    return HTMLResponse(NOT_BUILT, headers={**_HEADERS, "content-security-policy": policy, "cache-control": "no-store"})
