"""Links to folders: in the repository they open; on the site, which has no folders, they are the name alone."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"\[([^\]]+)\]\(([\w./-]+/)\)")


def unlinked(page: str, text: str) -> str:
    """The text of a page, without links to folders; one that leads nowhere is left for Sphinx to tell."""
    here = (ROOT / page).parent
    return _LINK.sub(lambda link: f"`{link[1].strip('`')}`" if (here / link[2]).is_dir() else link[0], text)


def unlink(app: object, page: str, source: list[str]) -> None:
    """On `source-read`."""
    source[0] = unlinked(page, source[0])
