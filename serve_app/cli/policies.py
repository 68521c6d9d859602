"""Of policies alone: `explain` says which apply to a request, `dry-run` what one would have denied."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from serve_app.cli.command import server_command
from serve_app.cli.completion import completing
from serve_app.cli.errors import CliError
from serve_app.cli.options import File
from serve_app.cli.output import Output, moment
from serve_app.cli.session import Session


def add_policy_commands(app: typer.Typer) -> None:
    """Adds what only policies have."""
    server_command(app, "explain")(_explain)
    server_command(app, "dry-run")(_dry_run)


def _explain(
    session: Session,
    key: Annotated[
        str, typer.Option(help="A key's public id, such as demo-premium.", autocompletion=completing("keys"))
    ],
    model: Annotated[str, typer.Option(help="The model's name or alias.", autocompletion=completing("models"))],
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Ask this Ray Serve config instead of a server.")
    ] = None,
) -> None:
    """Show which policies a request with this key for this model counts in, and why."""
    from serve_app import explain

    if file is not None:
        from serve_app.config_file import read_serve_config

        told = explain.explain(read_serve_config(file), key, model)
    else:
        params = {"api_key": explain.public_id(key), "model": model}
        told = explain.from_server(session.client.get("/admin/explain", params, has=("items",)))
    if session.output.as_json:
        session.output.json(told)
    else:
        session.output.table(explain.COLUMNS, explain.rows(told))


def _dry_run(
    session: Session,
    file: File,
    from_policy: Annotated[
        str | None,
        typer.Option("--from", metavar="NAME", help="Whose log to judge by it.", autocompletion=completing("policies")),
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Only this subject's window.")] = None,
) -> None:
    """Show what a policy would have denied of what was logged in its last window; changes nothing."""
    import orjson

    from policies.catalogue import Kind
    from serve_app.cli.catalogue_file import read_entities

    policies = read_entities(file, Kind.POLICIES)
    if policies.checked() != 1:
        raise CliError(f"{file} must hold one policy, and it holds several")
    fields = policies.entity(next(policies.items())).model_dump(mode="json", exclude_defaults=True)
    asked = {"policy": fields, "from": from_policy, "subject": subject}
    body = orjson.dumps({name: value for name, value in asked.items() if value is not None})
    found = session.client.send("POST", "/admin/dry-run", body=body, has=("denied", "worst")).data
    if session.output.as_json:
        session.output.json(found)
    else:
        show_dry_run(session.output, fields["name"], found)


def show_dry_run(output: Output, name: str, found: Mapping[str, Any]) -> None:
    """The outcome for a person: in all, then the subjects that would have been denied most."""
    from policies.quantities import format_duration

    window = format_duration(round(found["window_s"] * 1000))
    unit = found["unit"]
    output.line(f"{name}, {found['limit']} {unit} in {window}, judged over the log of {found['source']}:")
    counted = "" if unit == "requests" else f" ({found['denied_cost']} of {found['cost']} {unit})"
    output.line(
        f"{found['denied']} of {found['requests']} requests would have been denied{counted}; "
        f"{found['subjects_denied']} of {found['subjects']} subjects would have met a denial"
    )
    denied = [each for each in found["worst"] if each["denied"]]
    if denied:
        rows = [
            (each["subject"], str(each["requests"]), str(each["denied"]), moment(each["first_denied_at"]))
            for each in denied
        ]
        output.table(("subject", "requests", "denied", "first denied"), rows)
    if not found["complete"]:
        output.note("not all of the log was read: name a --subject")
    for note in found["notes"]:
        output.note(f"note: {note}")
