"""The runtime directory: private, short enough, and never one that somebody else made."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from serve_app.errors import RuntimeDirectoryError
from serve_app.runtime_dir import SOCKET_PATH_MAX_BYTES, ensure_runtime_dir, runtime_dir_path


@pytest.fixture(autouse=True)
def _own_temporary_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest's tmp_path is too long for sockets, as a real TMPDIR can be.
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as directory:
        monkeypatch.setattr(tempfile, "tempdir", directory)
        yield


def test_it_is_made_for_this_user_only_and_found_again(tmp_path: Path) -> None:
    path = ensure_runtime_dir(tmp_path / "state")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert ensure_runtime_dir(tmp_path / "state") == path
    assert ensure_runtime_dir(tmp_path / "other") != path


def test_the_same_state_directory_by_another_name_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert len({runtime_dir_path(p) for p in (Path("s"), tmp_path / "s", tmp_path / "link" / "s")}) == 1


def test_a_directory_that_others_may_read_is_closed(tmp_path: Path) -> None:
    runtime_dir_path(tmp_path).mkdir(mode=0o755)
    assert stat.S_IMODE(ensure_runtime_dir(tmp_path).stat().st_mode) == 0o700


@pytest.mark.parametrize("trap", ["symlink", "file", "foreign"])
def test_a_trap_is_refused(tmp_path: Path, trap: str) -> None:
    path = runtime_dir_path(tmp_path)
    if trap == "symlink":
        target = tmp_path / "target"
        target.mkdir()
        path.symlink_to(target)
    elif trap == "file":
        path.write_text("")
    else:
        if os.getuid() != 0:
            pytest.skip("only root can make a directory of another user")
        path.mkdir()
        os.chown(path, 12345, 12345)
    with pytest.raises(RuntimeDirectoryError, match="sockets must lie in one made by user id"):
        ensure_runtime_dir(tmp_path)


def test_a_long_temporary_directory_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 60)))
    longest_socket = runtime_dir_path(tmp_path) / ("n" * 56) / "h.sock.1234567.tmp"
    assert len(os.fsencode(longest_socket)) <= SOCKET_PATH_MAX_BYTES
