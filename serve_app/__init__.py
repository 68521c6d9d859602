"""Composition: reads the configuration, starts what is embedded, binds the graph. `import_path: serve_app:build`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serve_app.builder import build

__all__ = ["build"]


def __getattr__(name: str) -> Any:
    """`build` is loaded when it is asked for: it needs Ray, and the command line is a part of this package too."""
    if name == "build":
        from serve_app.builder import build

        return build
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
