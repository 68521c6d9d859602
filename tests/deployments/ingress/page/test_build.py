"""Where the build is looked for, and the page that stands in for it."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from deployments.ingress.page import build, files

ROOT = Path(__file__).parents[4]


def test_a_checkout_has_it_in_the_frontends_folder() -> None:
    assert build.BUILDS[-1] == ROOT / "frontend" / "dist"


def test_an_installed_package_brings_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, beside = tmp_path / "inside", tmp_path / "beside"
    monkeypatch.setattr(build, "BUILDS", (inside, beside))
    assert build.find_build() == beside
    beside.mkdir()
    assert build.find_build() == beside
    inside.mkdir()
    assert build.find_build() == inside


def test_the_style_of_the_page_that_stands_in_is_the_one_that_is_allowed() -> None:
    style = re.search(r"<style>(.*?)</style>", build.NOT_BUILT, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert digest in build.STYLE_HASH
    assert "style=" not in build.NOT_BUILT
    assert "<script" not in build.NOT_BUILT


def test_every_page_of_the_list_has_a_file_of_its_own() -> None:
    assert len(set(files.PAGES.values())) == len(files.PAGES)
    assert set(files.POLICIES) <= set(files.PAGES.values())
