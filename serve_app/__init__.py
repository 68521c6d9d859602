"""Composition: reads the configuration, starts what is embedded, binds the graph. `import_path: serve_app:build`."""

from serve_app.build import build

__all__ = ["build"]
