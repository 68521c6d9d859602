"""The few pieces of HTTP that the hot path needs, straight on ASGI: reading a body, sending a reply."""

from collections.abc import Iterable

from starlette.types import Receive, Scope, Send

from deployments.ingress.errors import HttpError

RawHeaders = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
EVENT_STREAM: RawHeaders = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]

ID_BYTES = 128
"""So much of a request's id is told to those who watch."""


class ClientGoneError(Exception):
    """The client left before its request was complete; nobody is there to answer."""


def header_of(scope: Scope, name: bytes) -> str | None:
    """The first header of this name, which is given in lower case, or None."""
    for each, value in scope["headers"]:
        if each == name:
            text: str = value.decode("latin-1")
            return text
    return None


def request_id_of(scope: Scope) -> str:
    """The request's `x-request-id`, or the beginning of a very long one: the client's, or what the server gave it
    (`app.RequestIds`, or Ray Serve's own middleware, which writes it there too)."""
    return (header_of(scope, b"x-request-id") or "")[:ID_BYTES]


async def read_body(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    """The whole body; 413 as soon as it is known to be larger than `max_bytes`."""
    declared = header_of(scope, b"content-length") or ""
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()  # bytes would be copied with every piece
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body", False):
            return bytes(body)


async def send_reply(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    """A whole reply."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: HttpError, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """An error as a whole reply."""
    own = [(name.encode(), value.encode()) for name, value in error.headers.items()]
    await send_reply(send, error.status, [JSON, *own, *headers], error.body())


def _too_large(max_bytes: int) -> HttpError:
    return HttpError(413, "body_too_large", f"The body is larger than {max_bytes} bytes.")
