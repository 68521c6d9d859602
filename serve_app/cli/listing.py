"""`list` of every kind: the API's filters as options, a table or JSON."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from serve_app.cli.command import server_command
from serve_app.cli.completion import completing
from serve_app.cli.kinds import columns_of, row_of
from serve_app.cli.options import Everything, FromSource, Limit, OfTenant, OfUser, Role
from serve_app.cli.session import Session

DEFAULT_LIMIT = 50

QosTier = Annotated[str | None, typer.Option(help="Only those of this band of service.")]


def add_list(app: typer.Typer, kind: str) -> None:
    """Adds the command `list` of this kind."""
    {
        "tenants": _tenants,
        "users": _users,
        "keys": _keys,
        "tiers": _tiers,
        "models": _models,
        "policies": _policies,
    }[kind](app)


def show_pages(session: Session, kind: str, params: Mapping[str, Any], most: int | None) -> None:
    """Prints a list of entities, and says where there are more of them."""
    from serve_app.cli.client import admin_path

    more = False

    def pages() -> Iterator[list[dict[str, Any]]]:
        nonlocal more
        for items, more in session.client.pages(admin_path(kind), params, most):  # noqa: B007  read after the loop
            yield items

    if session.output.as_json:
        print_array(item for items in pages() for item in items)
    else:
        columns: tuple[str, ...] = ()
        for items in pages():
            if not items:
                continue
            header = not columns
            columns = columns or columns_of(kind, items)
            session.output.table(columns, [row_of(columns, item) for item in items], header=header)
        if not columns:
            session.output.note(f"no {kind}" + (" that fit" if any(params.values()) else ""))
    if more and most is not None:
        session.output.note(f"there are more than {most}: --limit N for more of them, --all for every one")


def print_array(items: Iterator[dict[str, Any]]) -> None:
    """One JSON array, an element a line, written as the elements come."""
    lead = "["
    for item in items:
        print(f"{lead}\n  {json.dumps(item, ensure_ascii=False)}", end="")
        lead = ","
    print("[]" if lead == "[" else "\n]")


def _most(limit: int, everything: bool) -> int | None:
    return None if everything else limit


def _tenants(app: typer.Typer) -> None:
    @server_command(app, "list")
    def command(
        session: Session,
        qos_tier: QosTier = None,
        source: FromSource = None,
        limit: Limit = DEFAULT_LIMIT,
        everything: Everything = False,
    ) -> None:
        """Show tenants."""
        params = {"qos_tier": qos_tier, "source": source}
        show_pages(session, "tenants", params, _most(limit, everything))


def _users(app: typer.Typer) -> None:
    @server_command(app, "list")
    def command(
        session: Session,
        tenant: OfTenant = None,
        source: FromSource = None,
        limit: Limit = DEFAULT_LIMIT,
        everything: Everything = False,
    ) -> None:
        """Show users."""
        params = {"tenant": tenant, "source": source}
        show_pages(session, "users", params, _most(limit, everything))


def _keys(app: typer.Typer) -> None:
    @server_command(app, "list")
    def command(
        session: Session,
        tenant: OfTenant = None,
        user: OfUser = None,
        role: Annotated[Role | None, typer.Option(help="Only those with this role.")] = None,
        model: Annotated[
            str | None, typer.Option(help="Only those that may use this model.", autocompletion=completing("models"))
        ] = None,
        revoked: Annotated[bool | None, typer.Option(help="Only those that are revoked, or that are not.")] = None,
        source: FromSource = None,
        limit: Limit = DEFAULT_LIMIT,
        everything: Everything = False,
    ) -> None:
        """Show keys; never a secret."""
        params = {"tenant": tenant, "user": user, "role": role, "model": model, "revoked": revoked, "source": source}
        show_pages(session, "keys", params, _most(limit, everything))


def _tiers(app: typer.Typer) -> None:
    @server_command(app, "list")
    def command(
        session: Session,
        source: FromSource = None,
        limit: Limit = DEFAULT_LIMIT,
        everything: Everything = False,
    ) -> None:
        """Show tiers of models."""
        show_pages(session, "tiers", {"source": source}, _most(limit, everything))


def _models(app: typer.Typer) -> None:
    @server_command(app, "list")
    def command(
        session: Session,
        tier: Annotated[
            str | None, typer.Option(help="Only those of this tier.", autocompletion=completing("tiers"))
        ] = None,
        source: FromSource = None,
        limit: Limit = DEFAULT_LIMIT,
        everything: Everything = False,
    ) -> None:
        """Show models."""
        show_pages(session, "models", {"tier": tier, "source": source}, _most(limit, everything))


def _policies(app: typer.Typer) -> None:
    @server_command(app, "list")
    def command(
        session: Session,
        scope: Annotated[str | None, typer.Option(help="Only those of this scope, such as TENANT.")] = None,
        unit: Annotated[str | None, typer.Option(help="Only those that count this unit, such as requests.")] = None,
        mode: Annotated[str | None, typer.Option(help="Only those in this mode: enforce, shadow or off.")] = None,
        tenant: Annotated[str | None, typer.Option(help="Only those whose match names this tenant.")] = None,
        model: Annotated[str | None, typer.Option(help="Only those whose match names this model.")] = None,
        source: FromSource = None,
        limit: Limit = DEFAULT_LIMIT,
        everything: Everything = False,
    ) -> None:
        """Show policies."""
        params = {"scope": scope, "unit": unit, "mode": mode, "tenant": tenant, "model": model, "source": source}
        show_pages(session, "policies", params, _most(limit, everything))
