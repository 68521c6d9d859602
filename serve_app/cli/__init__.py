"""The command line (console script `sluice`): starting and checking, and the admin API from a terminal.

`app` puts the commands together; each other module is a few commands, or one thing that they share. Whatever is slow
to import (Ray, Redis, HTTP) is imported by the command that needs it, when it runs.
"""

from serve_app.cli.app import main

__all__ = ["main"]
