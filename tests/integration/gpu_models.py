"""A model that says which GPUs it sees; for `kind: python`."""

import os
from typing import Any


class Sees:
    def infer(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"devices": os.environ.get("CUDA_VISIBLE_DEVICES"), "pid": os.getpid()}
