"""`POST /v1/models/{model}/infer`: a request in the model's own schema, which the ingress does not read."""

from starlette.datastructures import Headers
from starlette.types import Scope

from deployments.ingress.errors import HttpError
from deployments.ingress.inference.operation import Inference


def parse_infer(scope: Scope, headers: Headers, body: bytes) -> Inference:
    """What is asked for."""
    if not body:
        raise HttpError(400, "invalid_json", "The body is empty: send what the model's own schema asks for.")
    content_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return Inference(scope["path_params"]["model"], body, content_type)
