"""Questions to the person at the terminal, on stderr: stdout holds the result alone."""

import sys

from serve_app.cli.errors import NotConfirmedError


def confirm(question: str, unchanged: str = "nothing was changed") -> None:
    """Goes on when the answer is yes; raises `NotConfirmedError` otherwise, and where nobody can be asked."""
    if not sys.stdin.isatty():
        raise NotConfirmedError(f"{question} Nobody can be asked here: say --yes. {unchanged.capitalize()}.")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NotConfirmedError(unchanged)
