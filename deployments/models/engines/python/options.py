"""Options of `kind: python`.

The class itself is imported by the replica: where a configuration is checked it may not be at hand.
"""

import re
from typing import Annotated, Any

from pydantic import Field, field_validator

from deployments.models.engines.options import Options

_NAME = r"[^\W\d]\w*"
_FORM = re.compile(rf"{_NAME}(\.{_NAME})*:{_NAME}(\.{_NAME})*")


class PythonOptions(Options):
    """Options of `kind: python`."""

    import_path: str
    """The class: `package.module:Class`."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of its constructor."""
    threads: Annotated[int, Field(ge=1, le=1_024)] = 1
    """How many calls of its plain (blocking) methods run at once, each in a thread. With 1 the class need not be
    thread-safe: one call at a time, all in the same thread. `async` methods run beside them, all at once."""

    @field_validator("import_path")
    @classmethod
    def _form(cls, path: str) -> str:
        if not _FORM.fullmatch(path):
            raise ValueError("it should be package.module:Class")
        return path
