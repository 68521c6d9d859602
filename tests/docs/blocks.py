"""Every fenced block of the documentation, and how each of them is tested.

A block belongs to a test by what it is (`WAYS`), or it says in its page's source why it belongs to none: a comment on
the line before it, `<!-- not run: REASON -->`. tests/docs/test_every_block.py fails for a block with neither. A test
that runs blocks asks for them here (`in_way`), so what is told to be run is what is run.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

from tests.docs.shell import NotParsedError, commands, is_asking, is_static

ROOT = Path(__file__).parents[2]
_MARK = re.compile(r"<!-- not run: (.*?) -->\s*$", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    """Its file, from the root of the repository."""
    line: int
    language: str
    text: str
    reason: str | None
    """Why it is not run, where its page says so."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README.md and its neighbours, and everything in docs/."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@cache
def blocks() -> tuple[Block, ...]:
    """Every block of every page, in order."""
    return tuple(block for page in pages() for block in _blocks(page))


def _blocks(page: Path) -> Iterator[Block]:
    before = None
    for token in MarkdownIt("commonmark").parse(page.read_text()):
        if token.type == "fence":
            assert token.map is not None
            language = token.info.split()[0] if token.info.strip() else ""
            name = str(page.relative_to(ROOT))
            yield Block(name, token.map[0] + 1, language, token.content, _reason(before))
        before = token.content if token.type == "html_block" else None


def _reason(comment: str | None) -> str | None:
    found = _MARK.search(comment) if comment else None
    return " ".join(found[1].split()) if found else None


def _on(*names: str) -> Callable[[Block], bool]:
    return lambda block: block.page in names


def _is_engine(block: Block) -> bool:
    return block.language == "python" and bool(re.match(r"# \w+\.py\n", block.text))


def _uses_the_library(block: Block) -> bool:
    return block.language == "python" and "Limiter" in block.text


def _uses_the_sdk(block: Block) -> bool:
    return block.language == "python" and "from openai import" in block.text


def _is_checked(block: Block) -> bool:
    """Commands that are compared with what there is, not run: `make`, `sluice up` and others that take long."""
    try:
        return block.language == "sh" and all(is_static(command) for command in commands(block.text))
    except NotParsedError:
        return False


def _asks_the_demo(block: Block) -> bool:
    try:
        return block.language == "sh" and is_asking(block.text)
    except NotParsedError:
        return False


@dataclass(frozen=True)
class Way:
    """A test that takes blocks, and which."""

    test: str
    """Its file, from the root of the repository."""
    takes: Callable[[Block], bool]


WAYS = {
    "guide": Way(
        "tests/deployments/ingress/admin/test_guide.py",
        lambda block: block.language == "sh" and _on("docs/admin.md")(block),
    ),
    "command line": Way(
        "tests/serve_app/cli/test_page.py", lambda block: block.language in ("sh", "") and _on("docs/cli.md")(block)
    ),
    "engines": Way("tests/deployments/models/engines/test_documentation.py", _is_engine),
    "library": Way("tests/docs/test_library.py", _uses_the_library),
    "sdk": Way("tests/integration/demo/test_readme.py", _uses_the_sdk),
    "yaml": Way("tests/docs/test_yaml.py", lambda block: block.language in ("yaml", "json")),
    "demo": Way("tests/integration/demo/test_readme.py", _asks_the_demo),
    "commands": Way("tests/docs/test_commands.py", _is_checked),
    "entities": Way(
        "tests/docs/test_entities.py", lambda block: block.language == "mermaid" and "erDiagram" in block.text
    ),
    "drawings": Way("tests/docs/test_site.py", lambda block: block.language == "mermaid"),
    "429": Way("tests/integration/demo/test_readme.py", lambda block: block.text.startswith("HTTP/1.1 429")),
}
"""The first that takes a block has it."""


def way_of(block: Block) -> str | None:
    """The name of the way in which a block is tested; None where there is none, or its page says not to."""
    if block.reason is not None:
        return None
    return next((name for name, way in WAYS.items() if way.takes(block)), None)


def in_way(name: str) -> list[Block]:
    """The blocks that a test has to take."""
    assert name in WAYS
    return [block for block in blocks() if way_of(block) == name]
