"""Commands that need no server: up, check, openapi, version. Each is a thin shell over a module elsewhere."""

import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

DEFAULT_FILE = Path("serve_config.yaml")

ConfigFile = Annotated[Path, typer.Argument(metavar="[FILE]", show_default=True, help="A Ray Serve config.")]


def add_local(app: typer.Typer) -> None:
    """Adds them."""
    app.command("up")(_up)
    app.command("check")(_check)
    app.command("openapi")(_openapi)
    app.command("version")(_version)


def _up(file: ConfigFile = DEFAULT_FILE) -> None:
    """Start everything on this machine, with Ray Serve's fast lane on; Ctrl-C ends it."""
    console = Console(stderr=True, highlight=False)
    console.print(f"checking {file}")
    from serve_app import summary
    from serve_app.config_file import read_serve_config
    from serve_app.errors import LaunchError
    from serve_app.launch import Launcher, Plan

    config = read_serve_config(file)
    for warning in config.warnings:
        console.print(f"warning: {warning}", markup=False)
    if config.tls:
        raise LaunchError(
            "http_options.ssl_certfile: `sluice up` puts HAProxy in front, which speaks no TLS in Ray 2.60. Remove it "
            "and end TLS in front of Sluice, or start this file with `serve run`: docs/security.md"
        )
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


def _check(file: ConfigFile = DEFAULT_FILE) -> None:
    """Read a configuration file and name everything that is wrong with it; start nothing."""
    from serve_app.config_file import read_serve_config

    for warning in read_serve_config(file).warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print("ok")


def _openapi() -> None:
    """Print the HTTP API's OpenAPI description, as a running server has it at /openapi.json."""
    from deployments.ingress.description import description

    print(json.dumps(description(), indent=2, ensure_ascii=False))


def _version() -> None:
    """Print the version."""
    print(importlib.metadata.version("sluice"))
