"""Where the built page is, and what is said where there is none."""

import base64
import hashlib
from pathlib import Path

_HERE = Path(__file__).parent

BUILDS = (_HERE / "dist", _HERE.parents[2] / "frontend" / "dist")
"""Where a build may be: in an installed package, and in a checkout. See hatch_build.py."""

_STYLE = "body{font:1rem/1.5 system-ui;color-scheme:light dark;max-width:40rem;margin:4rem auto;padding:0 1rem}"

STYLE_HASH = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""What a Content-Security-Policy must allow for `NOT_BUILT`."""

NOT_BUILT = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sluice</title>
<style>{_STYLE}</style>
<main>
<h1>Sluice</h1>
<p>Sluice is running, and so is its API; its page has not been built.</p>
<p>To build it: <code>make page</code>, with Node 20.19 or later on the machine. Then load this again; nothing needs a
restart.</p>
<ul>
<li><a href="openapi.json">openapi.json</a>: the API, for programs that read OpenAPI</li>
<li><a href="readyz">readyz</a>: whether requests can be served</li>
</ul>
</main>
</html>
"""


def find_build() -> Path:
    """The folder of the build, whether it is there yet or not."""
    return next((folder for folder in BUILDS if folder.is_dir()), BUILDS[-1])


def is_built() -> bool:
    """Whether there is a page to show."""
    return (find_build() / "index.html").is_file()
