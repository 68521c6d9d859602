"""The server's admin API as the commands call it: one connection, its answers as plain data, its errors as ours.

What a command asks for is the command's own business; nothing here knows a kind of entity.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from serve_app.cli.errors import (
    CliError,
    ConflictError,
    NotFoundError,
    RefusedError,
    TooLargeError,
    UnreachableError,
    VersionConflictError,
)

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
"""How long an answer may take; a plan of a large import has more (`PLAN_TIMEOUT_S`)."""
PLAN_TIMEOUT_S = 600.0

PAGE_ITEMS = 1_000
"""Most entities that the server gives in one page."""

Params = Mapping[str, str | int | bool | None]


@dataclass(frozen=True)
class Reply:
    """A successful answer."""

    status: int
    data: Any
    """The JSON body; None where there was none."""


class Client:
    """Talks to one server with one key. Use it as a context manager."""

    def __init__(self, url: str, key: str, *, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        try:
            host = httpx.URL(self.url).host
        except httpx.InvalidURL as error:
            raise CliError(f"{url!r} is no address of a server: {error}") from error
        self._http = httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {key}", "accept": "application/json"},
            timeout=httpx.Timeout(answer_timeout_s, connect=min(CONNECT_TIMEOUT_S, answer_timeout_s)),
            trust_env=not is_loopback(host),  # a proxy of the environment cannot reach this machine's own loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._http.close()

    def get(self, path: str, params: Params | None = None, *, has: tuple[str, ...] = ()) -> Any:
        """The JSON at a path. `has`: as in `send`."""
        return self.send("GET", path, params=params, has=has).data

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: bytes | None = None,
        if_match: str | None = None,
        timeout_s: float | None = None,
        has: tuple[str, ...] = (),
    ) -> Reply:
        """One request; `body` is JSON. Raises one of `serve_app.cli.errors` for every answer that is not a success.

        `has`: fields that the answer must have, so that another program at that address is not taken for Sluice.
        """
        headers = {} if body is None else {"content-type": "application/json"}
        if if_match is not None:
            headers["if-match"] = if_match
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        try:
            reply = self._http.request(
                method, path, params=_given(params), content=body, headers=headers, timeout=timeout
            )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if not reply.is_success:
            raise self._refusal(reply)
        data = self._json(reply)
        if has and not (isinstance(data, dict) and data.keys() >= set(has)):
            raise self._stranger(reply.status_code)
        return Reply(reply.status_code, data)

    def pages(self, path: str, params: Params, most: int | None) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        """The pages of a list, until `most` items were given (None: all of them), each with whether there is more."""
        cursor: str | None = None
        while most is None or most > 0:
            size = PAGE_ITEMS if most is None else min(PAGE_ITEMS, most)
            page = self.get(path, {**params, "limit": size, "cursor": cursor}, has=("items", "next_cursor"))
            items, cursor = page["items"], page["next_cursor"]
            if most is not None:
                most -= len(items)
            yield items, cursor is not None
            if cursor is None:
                return

    def lines(self, path: str, params: Params) -> Iterator[str]:
        """The lines of an answer that arrives piece by piece. Raises where it breaks off."""
        try:
            with self._http.stream("GET", path, params=_given(params)) as reply:
                if not reply.is_success:
                    reply.read()
                    raise self._refusal(reply)
                yield from reply.iter_lines()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _json(self, reply: httpx.Response) -> Any:
        if not reply.content:
            return None
        try:
            return reply.json()
        except ValueError:
            raise self._stranger(reply.status_code) from None

    def _stranger(self, status: int) -> CliError:
        text = f"{self.url} answered {status} with something that Sluice does not say: is a Sluice there?"
        return CliError(text, "unexpected_answer")

    def _unreachable(self, error: httpx.HTTPError) -> UnreachableError:
        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            text = f"{self.url} did not answer in time: see {self.url}/readyz, and try again"
        elif isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            text = (
                f"nothing answers at {self.url} ({_reason(error)}): start a server there with `sluice up`, "
                "or name another with --url or SLUICE_URL"
            )
        else:
            text = f"{self.url} broke the connection off ({_reason(error)}): try again"
        return UnreachableError(text)

    def _refusal(self, reply: httpx.Response) -> CliError:
        """The error of an answer: the server's own sentence, and what to do where that is up to the command line."""
        code, message = _told(reply)
        status = reply.status_code
        if not message:
            return self._stranger(status)
        if status == 401:
            return RefusedError(f"{message} Set SLUICE_KEY, or name a file with --key-file.", code)
        if status == 403:
            return RefusedError(message, code)
        if status == 404:
            return NotFoundError(message, code)
        if status == 412:
            return VersionConflictError(message, code)
        if status == 409:
            return ConflictError(message, code)
        if status == 413:
            return TooLargeError(message, code)
        if status in (429, 502, 503, 504):
            wait = reply.headers.get("retry-after")
            return UnreachableError(f"{message} Try again{f' in {wait} s' if wait else ''}.", code)
        return CliError(message, code)


def is_loopback(host: str) -> bool:
    """Whether this is an address of the machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def admin_path(kind: str, name: str = "", *more: str) -> str:
    """`/admin/models/owner%2Fname/…`: a `/` in a name is no `/` of the path."""
    return "/".join(["/admin", *(quote(part, safe="") for part in (kind, name, *more) if part)])


def _given(params: Params | None) -> dict[str, str | int | bool]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _told(reply: httpx.Response) -> tuple[str, str]:
    """The code and the message of an error in OpenAI's shape; empty where the body is something else."""
    try:
        error = reply.json()["error"]
        return str(error.get("code") or ""), "; ".join(str(error["message"]).splitlines())
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
