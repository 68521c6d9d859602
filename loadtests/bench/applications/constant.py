"""An ingress that returns a constant: what any reply costs at least that FastAPI gives on Ray Serve."""

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

app = FastAPI()


@serve.deployment
@serve.ingress(app)
class ConstantIngress:
    """Knows nothing and asks nobody."""

    @app.post("/v1/chat/completions")
    async def chat(self) -> dict[str, Any]:
        """The same every time."""
        return {"id": "chatcmpl-0", "object": "chat.completion", "choices": []}

    @app.get("/readyz")
    async def ready(self) -> dict[str, str]:
        """It answers."""
        return {"status": "ready"}


def build(_: dict[str, Any]) -> Application:
    """The application."""
    ingress: Any = ConstantIngress
    application: Application = ingress.bind()
    return application
