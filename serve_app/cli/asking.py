"""Questions to the person at the terminal."""

import sys

import typer

from serve_app.cli.errors import NotConfirmedError


def confirm(question: str, unchanged: str = "nothing was changed") -> None:
    """Goes on when the answer is yes; raises `NotConfirmedError` otherwise, and where nobody can be asked."""
    if not sys.stdin.isatty():
        raise NotConfirmedError(f"{question} Nobody can be asked here: say --yes. {unchanged.capitalize()}.")
    if not typer.confirm(question, err=True):
        raise NotConfirmedError(f"{unchanged}.")
