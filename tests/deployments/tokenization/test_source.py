import sys
from pathlib import Path

import pytest

from deployments.tokenization.source import ModelSourceError, check_source, located


@pytest.mark.parametrize("source", ["/models/one", "models/one", "org/name", "name", "./package:x"])
def test_directories_and_names_on_the_hub_stay(source: str) -> None:
    assert located(source) == source


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "some_model"
    (folder / "files" / "v1").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('nothing imports it')")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_a_folder_of_a_package_is_found_without_importing_it(package: Path) -> None:
    assert located("package:some_model") == str(package)
    assert located("package:some_model/files/v1/") == str(package / "files" / "v1")
    assert "some_model" not in sys.modules


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("package:no_such_model/files", "there is no package no_such_model"),
        ("package:json.decoder", "write package:NAME"),
        ("package:some_model/nothing", "has no folder nothing"),
        ("package:struct", "there is no package struct"),  # a module, not a package
    ],
)
@pytest.mark.usefixtures("package")
def test_what_cannot_be_found_is_told(source: str, told: str) -> None:
    with pytest.raises(ModelSourceError, match=told):
        located(source)


@pytest.mark.parametrize(
    "source", ["package:", "package:/x", "package:a-b", "package:a/../b", "package:a//b", "package:a/.x"]
)
def test_a_name_that_can_name_nothing_is_told_before_anything_is_looked_for(source: str) -> None:
    with pytest.raises(ModelSourceError, match="names no folder of a Python package"):
        check_source(source)
