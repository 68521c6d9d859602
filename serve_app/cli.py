"""The command line (console script `sluice`): up, check, policies explain, version.

Each command is a thin shell over a module of its own name or nearly so; `serve_app.launch` is the long one. Ray takes
seconds to import, so whatever needs it is imported inside the command that uses it.
"""

import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from serve_app.errors import ServeAppError

DEFAULT_FILE = Path("serve_config.yaml")

app = typer.Typer(
    help="Sluice: rate limiting and quality of service built into Ray Serve.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

policies = typer.Typer(help="What limits whom.", no_args_is_help=True)
app.add_typer(policies, name="policies")

ConfigFile = Annotated[Path, typer.Argument(metavar="[FILE]", show_default=True, help="A Ray Serve config.")]


@app.command()
def up(file: ConfigFile = DEFAULT_FILE) -> None:
    """Start everything on this machine, with Ray Serve's fast lane on; Ctrl-C ends it."""
    console = Console(stderr=True, highlight=False)
    console.print(f"checking {file}")
    from serve_app import summary
    from serve_app.config_file import read_serve_config
    from serve_app.launch import Launcher, Plan

    config = read_serve_config(file)
    plan = Plan(
        config_path=file,
        state_dir=config.applications[0].args.state_dir,
        http_host=config.http_host,
        http_port=config.http_port,
        ready_paths=tuple(f"{application.route_prefix.rstrip('/')}/readyz" for application in config.applications),
    )
    launcher = Launcher(plan, os.environ, lambda line: console.print(line, markup=False))
    launcher.run(on_ready=lambda: summary.show(config, plan.base_url, Console(highlight=False)))
    console.print("stopped")


@app.command()
def check(file: ConfigFile = DEFAULT_FILE) -> None:
    """Read a configuration file and name everything that is wrong with it; start nothing."""
    from serve_app.config_file import read_serve_config

    read_serve_config(file)
    print("ok")


@app.command()
def version() -> None:
    """Print the version."""
    print(importlib.metadata.version("sluice"))


@policies.command()
def explain(
    key: Annotated[str, typer.Option(help="A key's public id, such as demo-premium; or a whole key.")],
    model: Annotated[str, typer.Option(help="The model's name or alias.")],
    file: Annotated[Path, typer.Option("--file", "-f", help="A Ray Serve config.")] = DEFAULT_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show which policies a request with this key for this model counts in, and why."""
    from serve_app import explain as explain_module
    from serve_app.config_file import read_serve_config

    explanations = explain_module.explain(read_serve_config(file), key, model)
    explain_module.show(explanations, as_json=as_json, console=Console(highlight=False))


def main() -> None:
    """The console script: errors of ours become one message and an exit code, never a traceback."""
    try:
        app()
    except ServeAppError as exc:
        print(f"sluice: {exc}", file=sys.stderr)
        raise SystemExit(exc.exit_code) from None
