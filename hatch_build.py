"""Puts the built page into the wheel, where it has been built: `make page` before `python -m build`.

The other half is `deployments.ingress.page.build`, which looks there first.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface[Any]):
    """Called by hatchling for a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`version` is `editable` where the page is found in the checkout."""
        built = Path(self.root) / "frontend" / "dist"
        if version == "standard" and (built / "index.html").is_file():
            build_data["force_include"][str(built)] = "deployments/ingress/page/dist"
