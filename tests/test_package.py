"""What is in the wheel: everything that a machine without this checkout needs, the built page included."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hatch_build import PageHook

ROOT = Path(__file__).parent.parent
PAGE = "deployments/ingress/page/dist"


def forced(root: Path, version: str) -> dict[str, str]:
    """What the hook adds to a wheel of a project in this folder."""
    build_data: dict[str, Any] = {"force_include": {}}
    PageHook(str(root), {}, None, None, str(root), "wheel").initialize(version, build_data)
    return build_data["force_include"]


def test_the_page_is_added_where_it_is_built(tmp_path: Path) -> None:
    assert forced(tmp_path, "standard") == {}
    built = tmp_path / "frontend" / "dist"
    built.mkdir(parents=True)
    assert forced(tmp_path, "standard") == {}
    (built / "index.html").touch()
    assert forced(tmp_path, "standard") == {str(built): PAGE}
    assert forced(tmp_path, "editable") == {}


@pytest.mark.timeout(120)
def test_the_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, check=True, timeout=100
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, pattern in (
        ("policies", "*.py"),
        ("policies", "*.lua"),
        ("deployments", "*.py"),
        ("serve_app", "*.py"),
    ):
        expected = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob(pattern)}
        assert expected
        assert expected <= names
    dist = ROOT / "frontend" / "dist"
    built = {f"{PAGE}/{path.relative_to(dist)}" for path in dist.rglob("*") if path.is_file()}
    assert {name for name in names if name.startswith(PAGE)} == built
    assert not [name for name in names if name.startswith(("frontend", "tests"))]
