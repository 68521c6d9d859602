"""Diagrams in Mermaid, drawn in the reader's browser by the site's own copy of it.

`python -m docs.site.mermaid` fetches that copy, by npm: the one file of the package that stands by itself, from the
version and with the hash that mermaid.lock names. A site that is built without it shows diagrams as text.
"""

import base64
import hashlib
import html
import subprocess
import tarfile
import tempfile
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

LOCK = Path(__file__).with_name("mermaid.lock")


class Mermaid(SphinxDirective):
    """A block of Mermaid, as the script finds it in a page."""

    SCRIPT = Path(__file__).parents[2] / "dist" / "docs" / "mermaid" / "mermaid.min.js"
    has_content = True

    def run(self) -> list[nodes.Node]:
        text = html.escape("\n".join(self.content))
        return [nodes.raw("", f'<pre class="mermaid">\n{text}\n</pre>\n', format="html")]


def fetch() -> None:
    """Puts the script where the site takes it from. Raises ValueError where the package is another than was locked."""
    version, integrity = LOCK.read_text().split()
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", version, "--silent", "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - npm, with a version of ours
        (package,) = Path(folder).glob("*.tgz")
        found = "sha512-" + base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
        if found != integrity:
            raise ValueError(f"{version} has the hash {found}, and {LOCK.name} says {integrity}: it is another package")
        with tarfile.open(package) as files:
            script = files.extractfile("package/dist/mermaid.min.js")
            if script is None:
                raise ValueError(f"{version} has no dist/mermaid.min.js as a file: lock a version that has")
            Mermaid.SCRIPT.parent.mkdir(parents=True, exist_ok=True)
            Mermaid.SCRIPT.write_bytes(script.read())


if __name__ == "__main__":
    fetch()
