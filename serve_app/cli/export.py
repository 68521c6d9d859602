"""`export`: the catalogue as a file that `apply -f` takes back.

The same catalogue gives the same bytes: kinds in the order of a catalogue, entities in the order of their names, one to
a line. A line is JSON, which is YAML too, so that a large file can be read without keeping all of it.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Annotated

import typer

from serve_app.cli.command import server_command
from serve_app.cli.errors import CliError
from serve_app.cli.kinds import SINGULAR, name_of
from serve_app.cli.options import OutFile
from serve_app.cli.session import Session


def add_export(app: typer.Typer) -> None:
    """Adds the command."""
    server_command(app, "export")(_export)


def _export(
    session: Session,
    output: OutFile = None,
    everything: Annotated[
        bool, typer.Option("--all", help="What the configuration file brought too, not only what the API wrote.")
    ] = False,
) -> None:
    """Write the catalogue as YAML. It holds the SHA-256 of every key, and no key."""
    received = session.client.lines("/admin/export", {"source": "all" if everything else "api"})
    entities = map(_read, received)
    with _destination(output) as out, session.output.progress() as progress:
        bar = progress.add_task("exporting", total=None)
        count = 0
        if session.output.as_json:
            catalogue: dict[str, list[object]] = {kind: [] for kind in SINGULAR}
            for kind, entity in entities:
                catalogue[kind].append(entity)
            out.write(json.dumps(catalogue, indent=2) + "\n")
        else:
            for count, line in enumerate(yaml_lines(entities), 1):
                out.write(line)
                if count % 1_000 == 0:
                    progress.update(bar, completed=count)
    if output is not None:
        session.output.note(f"wrote {output}")


def _read(line: str) -> tuple[str, dict[str, object]]:
    try:
        read = json.loads(line)
        return read["kind"], read["entity"]
    except (ValueError, KeyError, TypeError):
        raise CliError("the server sent a line that is no entity: the export is not complete") from None


def yaml_lines(entities: Iterable[tuple[str, dict[str, object]]]) -> Iterator[str]:
    """The lines of the file. The entities must come in order."""
    kinds = list(SINGULAR)
    at, last = -1, ""
    for kind, entity in entities:
        found, name = kinds.index(kind), name_of(kind, entity)
        if found < at or (found == at and name <= last):
            raise CliError(f"the server sent {SINGULAR[kind]} {name!r} out of order: the export is not complete")
        for empty in kinds[at + 1 : found]:
            yield f"{empty}: []\n"
        if found > at:
            yield f"{kind}:\n"
        at, last = found, name
        yield f"  - {json.dumps(entity)}\n"
    for empty in kinds[at + 1 :]:
        yield f"{empty}: []\n"


@contextmanager
def _destination(path: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that is there whole or not at all, and that others cannot read."""
    if path is None:
        yield sys.stdout
        return
    try:
        made = NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with made:
            yield made
        os.replace(made.name, path)
    except BaseException as error:
        os.unlink(made.name)
        if isinstance(error, OSError):
            raise CliError(f"{path} cannot be written: {error.strerror}") from error
        raise
