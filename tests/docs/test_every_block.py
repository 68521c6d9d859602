"""No block of the documentation is without a test: it belongs to one, or its page says why it cannot."""

import re

import pytest

from tests.docs.blocks import ROOT, WAYS, Block, blocks, in_way, way_of

LEAST_WORDS = 3
"""Of a reason: what is there says more than "no"."""


def test_there_are_blocks() -> None:
    assert len(blocks()) > 60


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    if block.reason is not None:
        assert len(block.reason.split()) >= LEAST_WORDS, f"{block}: {block.reason!r} is no reason"
        for path in re.findall(r"[\w/]+\.\w+", block.reason):
            assert (ROOT / path).exists(), f"{block}: its reason names {path}, which does not exist"
        return
    assert way_of(block) is not None, (
        f"{block}: nothing runs this block ({block.language or 'no language'}). Write it so that one of "
        f"{', '.join(WAYS)} in tests/docs/blocks.py takes it, or `<!-- not run: REASON -->` on the line before it"
    )


@pytest.mark.parametrize("name", WAYS)
def test_a_way_takes_blocks_and_its_test_asks_for_them(name: str) -> None:
    assert in_way(name), f"no block is left for {name!r}: remove it"
    source = (ROOT / WAYS[name].test).read_text()
    assert re.search(rf'in_way\(\s*"{name}"\s*\)', source), f"{WAYS[name].test} does not ask for the blocks of {name!r}"


def test_marks_are_read() -> None:
    """A mark that is misspelt, or before something else than a block, does nothing: that would go unseen."""
    for page in {block.page for block in blocks()}:
        marks = len(re.findall(r"<!--\s*not[ -]run", (ROOT / page).read_text(), re.IGNORECASE))
        assert marks == sum(1 for block in blocks() if block.page == page and block.reason is not None), page
