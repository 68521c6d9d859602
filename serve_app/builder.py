"""What serve_config.yaml names as `import_path: serve_app:build`."""

from ray.serve import Application

from serve_app.config import ApplicationArgs
from serve_app.graph import bind_graph


def build(args: ApplicationArgs) -> Application:
    """The application. Ray Serve validates `args` by the annotation."""
    return bind_graph(args)
