"""All commands put together, and how the process ends."""

import sys

import typer

from serve_app.cli import applying, audit, entities, export, keys, limits, listing, local, policies
from serve_app.cli.errors import DifferenceFound, ExitCode
from serve_app.cli.kinds import SINGULAR
from serve_app.errors import ServeAppError

_HELP = {
    "tenants": "Customers and teams: whom limits are agreed with.",
    "users": "People and services of tenants.",
    "keys": "API keys of users.",
    "tiers": "Classes of models that are limited together.",
    "models": "Models that clients may name.",
    "policies": "What limits whom.",
}

_USAGE_ERROR = 2
"""What Typer ends with where the command line itself is wrong; here that number means a difference."""


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        help="Sluice: rate limiting and quality of service built into Ray Serve.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    local.add_local(app)
    for kind in SINGULAR:
        group = typer.Typer(help=_HELP[kind], no_args_is_help=True)
        listing.add_list(group, kind)
        entities.add_show(group, kind)
        entities.add_apply(group, kind)
        entities.add_delete(group, kind)
        if kind == "keys":
            keys.add_key_commands(group)
        if kind == "policies":
            policies.add_policy_commands(group)
        app.add_typer(group, name=kind)
    limits.add_limits(app)
    limits.add_usage(app)
    audit.add_audit(app)
    applying.add_apply(app)
    export.add_export(app)
    return app


def main() -> None:
    """The console script: errors of ours become one message and an exit code, never a traceback."""
    try:
        build()()
    except ServeAppError as error:
        print(f"sluice: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except DifferenceFound:
        raise SystemExit(ExitCode.DIFFERENT) from None
    except SystemExit as end:
        if end.code == _USAGE_ERROR:
            raise SystemExit(ExitCode.FAILED) from None
        raise
