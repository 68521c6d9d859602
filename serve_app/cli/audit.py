"""`audit`: who changed what, when."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from serve_app.cli.command import server_command
from serve_app.cli.difference import field_changes
from serve_app.cli.kinds import SINGULAR
from serve_app.cli.listing import print_array
from serve_app.cli.options import Everything, Kind, Limit
from serve_app.cli.output import moment
from serve_app.cli.session import Session

DEFAULT_LIMIT = 20

_COLUMNS = ("version", "at (UTC)", "by", "action", "what", "change")


def add_audit(app: typer.Typer) -> None:
    """Adds the command."""
    server_command(app, "audit")(_audit)


def _audit(
    session: Session,
    kind: Annotated[Kind | None, typer.Option(help="Only changes of this kind of entity.")] = None,
    name: Annotated[str | None, typer.Option(help="Only changes of the entity of this name.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only changes made with the key of this id.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    everything: Everything = False,
) -> None:
    """Show who changed what, the latest first."""
    params = {"kind": kind, "name": name, "actor": actor}
    pages = session.client.pages("/admin/audit", params, None if everything else limit)
    if session.output.as_json:
        print_array(entry for entries, _ in pages for entry in entries)
        return
    shown = False
    for entries, _ in pages:
        if entries:
            session.output.table(_COLUMNS, [_row(entry) for entry in entries], header=not shown)
            shown = True
    if not shown:
        session.output.note("no change was made yet" if not any(params.values()) else "no change fits")


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    actor = entry["actor"]
    changes = field_changes(entry["kind"], entry["before"], entry["after"])
    return (
        str(entry["version"]),
        moment(entry["at"]),
        f"{actor['user']} ({actor['api_key']})",
        entry["action"],
        f"{SINGULAR[entry['kind']]} {entry['name']}",
        ", ".join(changes),
    )
