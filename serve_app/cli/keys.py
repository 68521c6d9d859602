"""Secrets of keys: `issue`, `rotate`, `revoke`, and `generate`, which needs no server.

A secret is printed once, alone on stdout, so that it can go straight into a file or a variable; whatever else there is
to say stands on stderr.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from serve_app.cli.command import Json, reporting, server_command
from serve_app.cli.completion import completing
from serve_app.cli.errors import CliError
from serve_app.cli.options import ExpiresAt, ExpiresIn, Models, Role
from serve_app.cli.output import Output
from serve_app.cli.session import Session

SHOWN_ONCE = "this key is shown once, now: only its SHA-256 is kept"

_MADE = ("secret", "key")
"""What the server answers with when it made a secret."""

KeyId = Annotated[str, typer.Argument(metavar="ID", help="Which key.", autocompletion=completing("keys"))]
NewId = Annotated[
    str | None, typer.Option("--id", help="Its public id: letters and digits; made up if left out.", show_default=False)
]


def add_key_commands(app: typer.Typer) -> None:
    """Adds what only keys have."""
    server_command(app, "issue")(_issue)
    server_command(app, "rotate")(_rotate)
    server_command(app, "revoke")(_revoke)
    app.command("generate")(_generate)


def _issue(
    session: Session,
    user: Annotated[str, typer.Option(help="Whose key it is.", autocompletion=completing("users"))],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.INFERENCE,
    models: Models = None,
    expires_in: ExpiresIn = None,
    expires_at: ExpiresAt = None,
    id: NewId = None,
) -> None:
    """Make a key and print its secret, once."""
    import orjson

    asked = _fields(user, role, models, end_of(expires_in, expires_at), id)
    made = session.client.send("POST", "/admin/keys", body=orjson.dumps(asked), has=_MADE).data
    _tell(session.output, made, f"issued key {made['key']['id']} of user {user}")


def _rotate(
    session: Session,
    id: KeyId,
    overlap: Annotated[str, typer.Option(metavar="DURATION", help="How long the old secret still works.")] = "24h",
) -> None:
    """Give a key a new secret and print it, once; the old one works until the overlap ends."""
    import orjson

    from serve_app.cli.client import admin_path

    path = admin_path("keys", id, "rotate")
    made = session.client.send("POST", path, body=orjson.dumps({"overlap": overlap}), has=_MADE).data
    until = made["key"].get("previous_until")
    _tell(session.output, made, f"rotated key {id}" + (f"; the old secret works until {until}" if until else ""))


def _revoke(session: Session, id: KeyId) -> None:
    """End a key at once and for good."""
    from serve_app.cli.client import admin_path

    reply = session.client.send("POST", admin_path("keys", id, "revoke"))
    if session.output.as_json:
        session.output.json(reply.data)
    else:
        session.output.line(f"revoked key {id}: it is refused everywhere within a second")


def _generate(
    user: Annotated[str, typer.Option(help="Whose key it is: a user of the same file.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.INFERENCE,
    models: Models = None,
    expires_in: ExpiresIn = None,
    expires_at: ExpiresAt = None,
    id: NewId = None,
    as_json: Json = False,
) -> None:
    """Make a key without a server, with its entry for serve_config.yaml: how the first admin key comes to be."""
    with reporting(as_json=as_json):
        from serve_app.cli.key_entry import fresh_key

        output = Output(as_json=as_json)
        secret, entry = fresh_key(_fields(user, role, models, end_of(expires_in, expires_at), id))
        _tell(output, {"secret": secret, "key": entry}, "an entry for `catalogue.keys` of serve_config.yaml:")
        if not as_json:
            import json

            output.note(f"- {json.dumps(entry)}")


def end_of(expires_in: str | None, expires_at: datetime | None) -> str | None:
    """The moment a key ends, from either option, as the API writes it."""
    if expires_in is not None and expires_at is not None:
        raise CliError("--expires-in and --expires-at say the same: leave one out")
    if expires_in is not None:
        from policies.quantities import parse_duration_ms

        try:
            length_ms = parse_duration_ms(expires_in)
        except ValueError as error:
            raise CliError(f"--expires-in: {error}") from error
        try:
            expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(milliseconds=int(str(length_ms)))
        except OverflowError as error:
            raise CliError(f"--expires-in: {expires_in} ends later than dates go") from error
    if expires_at is None:
        return None
    in_utc = expires_at.replace(tzinfo=UTC) if expires_at.tzinfo is None else expires_at.astimezone(UTC)
    return in_utc.isoformat().replace("+00:00", "Z")


def _fields(user: str, role: Role, models: list[str] | None, end: str | None, key_id: str | None) -> dict[str, Any]:
    """What was asked for, without what was left out."""
    given = {"id": key_id, "user": user, "role": None if role is Role.INFERENCE else str(role)}
    given |= {"models": [name for each in models or () for name in each.split(",")] or None, "expires_at": end}  # type: ignore[dict-item]
    return {name: value for name, value in given.items() if value is not None}


def _tell(output: Output, made: dict[str, Any], what: str) -> None:
    output.note(SHOWN_ONCE)
    if output.as_json:
        output.json(made)
        return
    output.line(made["secret"])
    output.note(what)
