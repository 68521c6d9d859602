"""What serve_config.yaml names as `import_path: serve_app:build`."""

from ray.serve import Application
from ray.serve.exceptions import RayServeException

from serve_app.config import ApplicationArgs
from serve_app.errors import ResourcesLackingError
from serve_app.graph import bind_graph
from serve_app.resources.cluster import require_resources


def build(args: ApplicationArgs) -> Application:
    """The application. Ray Serve validates `args` by the annotation."""
    try:
        require_resources(args)
    except ResourcesLackingError as error:
        # Of this type Serve shows the text alone; any other it tries three times more, and shows a traceback.
        raise RayServeException(str(error)) from error
    return bind_graph(args)
