"""Composition: reads the configuration, starts what is embedded, binds the graph. `import_path: serve_app:build`."""

from typing import TYPE_CHECKING

from serve_app.config import ApplicationArgs

if TYPE_CHECKING:
    from ray.serve import Application

__all__ = ["build"]


def build(args: ApplicationArgs) -> "Application":
    """The application that serve_config.yaml names. Ray Serve validates `args` by the annotation.

    Here and not in `serve_app.graph`, so that the command line need not import Ray to show its help.
    """
    from serve_app.graph import bind_graph

    return bind_graph(args)
