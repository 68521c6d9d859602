"""Names for the shell's completion, asked from the server: quickly, and in silence where there is no answer."""

import os
from collections.abc import Callable

TIMEOUT_S = 1.0
MOST_NAMES = 200


def completing(kind: str) -> Callable[[str], list[str]]:
    """What completes a name of this kind of entity."""

    def names(incomplete: str) -> list[str]:
        return [name for name in _names(kind) if name.startswith(incomplete)]

    return names


def _names(kind: str) -> list[str]:
    # Imported here: a help text must not wait for them.
    from serve_app.cli.client import Client, admin_path
    from serve_app.cli.kinds import name_of
    from serve_app.cli.session import DEFAULT_URL, URL_VARIABLE, checked_url, read_key
    from serve_app.errors import ServeAppError

    try:
        url = checked_url(os.environ.get(URL_VARIABLE) or DEFAULT_URL)
        with Client(url, read_key(None, os.environ, url), answer_timeout_s=TIMEOUT_S) as client:
            page = client.get(admin_path(kind), {"limit": MOST_NAMES})
        return [name_of(kind, item) for item in page["items"]]
    except (ServeAppError, KeyError, TypeError):
        return []  # a shell that completes has no place for an error
