"""docs/requirements.md: every test that it names exists, by its file and its function."""

import re

import pytest

from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "requirements.md").read_text()
ROWS = re.findall(r"^\| (?!what it must do|---)(.+?) \| (.+) \|$", PAGE, re.MULTILINE)


def test_there_are_requirements() -> None:
    assert len(ROWS) > 40


@pytest.mark.parametrize(("required", "shown"), ROWS, ids=[required for required, _ in ROWS])
def test_the_tests_that_show_it_exist(required: str, shown: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", shown)
    assert named, f"no test shows: {required}"
    for path, function in named:
        source = (ROOT / path).read_text()
        wanted = rf"def {function}\(" if function else r"def test_|^Test\w+ = |^class Test"
        assert re.search(wanted, source, re.MULTILINE), f"{path} has no {function or 'test'}"
