"""Options and arguments that several commands have, with their help texts."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from serve_app.cli.completion import completing


class Source(StrEnum):
    """Who wrote an entity."""

    CONFIG = "config"
    API = "api"


class Kind(StrEnum):
    """A kind of entity; the same as `policies.catalogue.Kind`, which would load all of `policies` for a help text."""

    TENANTS = "tenants"
    USERS = "users"
    KEYS = "keys"
    TIERS = "tiers"
    MODELS = "models"
    POLICIES = "policies"


class Role(StrEnum):
    """What a key may do; as `policies.entities.Role`."""

    INFERENCE = "inference"
    ADMIN = "admin"
    OPERATOR = "operator"
    GATEWAY = "gateway"


Limit = Annotated[int, typer.Option("--limit", min=1, help="Most entries to show.")]
Everything = Annotated[bool, typer.Option("--all", help="Show every entry, page after page.")]
FromSource = Annotated[Source | None, typer.Option(help="Only those of the configuration file, or of the API.")]
File = Annotated[str, typer.Option("--file", "-f", metavar="FILE", help="YAML or JSON; - for standard input.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
IfVersion = Annotated[
    int | None,
    typer.Option(min=1, help="Only if nobody has changed it since: the version that `show` told."),
]
OfTenant = Annotated[str | None, typer.Option(help="Only those of this tenant.", autocompletion=completing("tenants"))]
OfUser = Annotated[str | None, typer.Option(help="Only those of this user.", autocompletion=completing("users"))]
OutFile = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; standard output if left out.")
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        metavar="NAME[,NAME]",
        help="Models that it may use; every model if left out.",
        autocompletion=completing("models"),
    ),
]
ExpiresIn = Annotated[str | None, typer.Option(metavar="DURATION", help="How long it works, such as 12h or 30d.")]
ExpiresAt = Annotated[
    datetime | None,
    typer.Option(
        metavar="MOMENT",
        formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"],
        help="When it ends: 2027-01-01T00:00:00Z, or a day (UTC).",
    ),
]
