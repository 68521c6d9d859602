"""What the options of all kinds of engines have in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from deployments.tokenization.counting import Counting


class Options(BaseModel):
    """Base of every kind's options. They are checked before anything starts, where the engine's own libraries need not
    be installed: no module of options imports them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def counting(self) -> Counting:
        """How the ingress counts the tokens of prompts before the engine has seen them."""
        return Counting()

    def deployment(self) -> dict[str, Any]:
        """What the engine needs of its Serve deployment; serve_config.yaml may override it."""
        return {}
