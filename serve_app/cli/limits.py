"""What is used now: `limits show` for the caller's own key, `usage` for anybody's."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from serve_app.cli.command import server_command
from serve_app.cli.completion import completing
from serve_app.cli.errors import CliError
from serve_app.cli.listing import print_array
from serve_app.cli.options import Everything, Limit
from serve_app.cli.session import Session

USAGE_LIMIT = 50

_COLUMNS = ("policy", "scope", "subject", "used", "limit", "unit", "window", "frees")


def add_limits(app: typer.Typer) -> None:
    """Adds the group `limits`."""
    limits = typer.Typer(help="The windows of your own key.", no_args_is_help=True)
    app.add_typer(limits, name="limits")
    server_command(limits, "show")(_show)


def add_usage(app: typer.Typer) -> None:
    """Adds the command `usage`."""
    server_command(app, "usage")(_usage)


def _show(
    session: Session,
    model: Annotated[
        str | None,
        typer.Option(help="Only windows that a request for this model counts in.", autocompletion=completing("models")),
    ] = None,
) -> None:
    """Show the windows that a request with your key counts in; uses nothing up."""
    now = session.client.get("/v1/limits", {"model": model}, has=("api_key", "windows"))
    if session.output.as_json:
        session.output.json(now)
        return
    session.output.note(f"key {now['api_key']}, user {now['user']}, tenant {now['tenant']}, {now['qos_tier']}")
    if now["windows"]:
        session.output.table(_COLUMNS, [_row(window) for window in now["windows"]])
    else:
        session.output.note("no policy applies")


def _usage(
    session: Session,
    tenant: Annotated[
        str | None,
        typer.Option(help="Only windows of this tenant, its users and its keys.", autocompletion=completing("tenants")),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="All windows of the key of this id, empty ones too.", autocompletion=completing("keys")),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Only windows of this policy.", autocompletion=completing("policies"))
    ] = None,
    limit: Limit = USAGE_LIMIT,
    everything: Everything = False,
) -> None:
    """Show how full windows are now: all that hold something, or those of a tenant, a policy or a key."""
    if key is not None and (tenant or policy):
        raise CliError("--key stands alone: leave --tenant and --policy out")
    params = {"tenant": tenant, "api_key": key, "policy": policy}
    pages = session.client.pages("/admin/usage", params, None if everything else limit)
    if session.output.as_json:
        print_array(window for windows, _ in pages for window in windows)
        return
    shown = more = False
    for windows, more in pages:  # noqa: B007  read after the loop
        if windows:
            session.output.table(_COLUMNS, [_row(window) for window in windows], header=not shown)
            shown = True
    if not shown:
        session.output.note("no window holds anything")
    if more and not everything:
        session.output.note(f"there are more than {limit}: --limit N for more of them, --all for every one")


def _row(window: dict[str, Any]) -> Sequence[str]:
    from policies.quantities import format_duration

    mode = "" if window.get("enforced", True) else " (shadow)"
    frees = f"{window['reset_after_s']:g} s" if window["used"] else ""
    return (
        window["policy"] + mode,
        window["scope"],
        window["subject"] + ("" if window.get("shard") is None else f" #{window['shard']}"),
        str(window["used"]),
        str(window["limit"]),
        window["unit"],
        format_duration(round(window["window_s"] * 1000)),
        frees,
    )
