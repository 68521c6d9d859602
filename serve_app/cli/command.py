"""Makes commands of functions: adds the options that all of them share, and ends each in one place.

A function says what is its own; `server_command` gives it a `Session` made from `--url`, `--key-file` and `--json`.
Errors of ours become one message, as JSON where `--json` was given, and an exit code.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from serve_app.cli.errors import CliError
from serve_app.cli.session import DEFAULT_URL, KEY_FILE_VARIABLE, KEY_VARIABLE, URL_VARIABLE, Session
from serve_app.errors import ServeAppError

Url = Annotated[
    str, typer.Option("--url", envvar=URL_VARIABLE, help="Address of the server.", rich_help_panel="Server")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help=f"A file that holds the API key; {KEY_VARIABLE} or {KEY_FILE_VARIABLE} where it is left out.",
        rich_help_panel="Server",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For machines: JSON on stdout, errors as JSON on stderr.")]


@contextmanager
def reporting(*, as_json: bool) -> Iterator[None]:
    """Ends the process with a message and an exit code where one of our errors comes out."""
    from serve_app.cli.output import report

    try:
        yield
    except ServeAppError as error:
        code = error.code if isinstance(error, CliError) else "failed"
        report(str(error), code, as_json=as_json)
        raise typer.Exit(error.exit_code) from None


def server_command(
    app: typer.Typer, name: str, help_text: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command of `app` whose function takes a `Session` first. `help_text`: its docstring where left out."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def command(*, url: str, key_file: Path | None, as_json: bool, **own: Any) -> None:
            with reporting(as_json=as_json):
                _require_text(own)
                session = Session(url, key_file, as_json=as_json)
                try:
                    function(session, **own)
                finally:
                    session.close()

        shared = [_option("as_json", Json, False), _option("url", Url, DEFAULT_URL), _option("key_file", KeyFile, None)]
        _declare(command, function, shared)
        app.command(name, help=help_text)(command)
        return function

    return add


def _require_text(given: dict[str, Any]) -> None:
    """Arguments may be any bytes; what goes to a server is text."""
    for value in given.values():
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise CliError(f"{value!r} is not UTF-8 text") from None


def _option(name: str, annotation: Any, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _declare(command: Callable[..., None], function: Callable[..., None], shared: list[inspect.Parameter]) -> None:
    """Tells Typer the options: those of the function without its session, then the shared ones."""
    own = list(inspect.signature(function).parameters.values())[1:]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    del command.__wrapped__  # type: ignore[attr-defined]  # Typer would read the function's own annotations again
