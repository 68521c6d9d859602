"""How the site is built (`make docs`): Sphinx over the Markdown files as they lie in the repository.

Pages are written for a reader of the repository: plain Markdown, links relative to the file. Nothing is fetched by who
reads the site: no fonts, no scripts, no search server; it works from a folder of files.
"""

import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.site import folders, navigation  # noqa: E402 - found by the line above
from docs.site.mermaid import Mermaid  # noqa: E402

project = "Sluice"
author = "the authors of Sluice"
html_title = "Sluice"
extensions = ["myst_parser"]

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = navigation.OTHER_FOLDERS

myst_heading_anchors = 4  # as GitHub makes them
myst_enable_extensions = ["deflist"]
myst_fence_as_directive = ["mermaid"]

html_theme = "furo"
html_static_path = ["static"]
html_extra_path = ["start"]
html_show_copyright = False
html_copy_source = False
if Mermaid.SCRIPT.exists():  # else diagrams are shown as they are written
    html_static_path.append(str(Mermaid.SCRIPT.parent))
    html_js_files = [Mermaid.SCRIPT.name, "diagrams.js"]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", navigation.add)
    app.connect("source-read", folders.unlink)
