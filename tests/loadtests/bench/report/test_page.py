"""Sections of the page."""

import re

import pytest

from loadtests.bench.__main__ import PARTS, exists
from loadtests.bench.report.page import PAGE, with_section

WRITTEN = "by hand\n<!-- bench-chain: begin -->\nold\n<!-- bench-chain: end -->\nby hand too\n"


def test_only_what_is_between_the_markers_is_replaced() -> None:
    page = with_section(WRITTEN, "bench-chain", "new")
    assert page == "by hand\n<!-- bench-chain: begin -->\n\nnew\n\n<!-- bench-chain: end -->\nby hand too\n"
    assert with_section(page, "bench-chain", "new") == page


@pytest.mark.parametrize("broken", ["", WRITTEN.replace("end -->", ""), WRITTEN.replace("begin -->", "")])
def test_a_page_without_the_markers_stays_as_it_is(broken: str) -> None:
    with pytest.raises(ValueError, match="lacks the markers"):
        with_section(broken, "bench-chain", "new")


@pytest.mark.parametrize("part", ["all", *filter(exists, PARTS)])
def test_the_page_has_a_place_for_every_part(part: str) -> None:
    assert len(re.findall(f"<!-- bench-{part}: (?:begin|end) -->", PAGE.read_text())) == 2
