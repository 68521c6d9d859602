"""`POST /v1/models/{model}/infer`: a request in the model's own schema, which the ingress does not read."""

from starlette.types import Scope

from deployments.ingress.errors import HttpError
from deployments.ingress.http import header_of
from deployments.ingress.inference.operation import Inference


def parse_infer(scope: Scope, body: bytes) -> Inference:
    """What is asked for."""
    if not body:
        raise HttpError(400, "invalid_json", "The body is empty: send what the model's own schema asks for.")
    sent = header_of(scope, b"content-type")
    content_type = "application/json" if sent is None else sent.partition(";")[0].strip().lower()
    return Inference(scope["path_params"]["model"], body, content_type)
