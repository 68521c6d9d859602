"""Questions, asked at a real terminal."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve_app.cli.conftest import Server, Sluice, secret


@pytest.mark.parametrize(("said", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_somebody_at_a_terminal_is_asked(sluice: Sluice, server: Server, said: str, code: int) -> None:
    sluice.ok("tenants", "apply", "-f", "-", stdin="name: acme")
    ours, theirs = pty.openpty()
    environ = {**os.environ, "SLUICE_URL": server.url, "SLUICE_KEY": secret("admin1")}
    process = subprocess.Popen(
        [Path(sys.executable).with_name("sluice"), "tenants", "delete", "acme"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )
    os.write(ours, f"{said}\n".encode())
    out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code, err
    assert "Delete tenant acme? [y/N]" in err
    assert out == ("deleted tenant acme\n" if code == 0 else "")
    assert sluice("tenants", "show", "acme").code == (3 if code == 0 else 0)


def test_an_interrupt_at_the_question_changes_nothing(sluice: Sluice, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("tenants: [{name: acme}]")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("sluice"), "apply", "-f", file],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "SLUICE_URL": server.url, "SLUICE_KEY": secret("admin1")},
    )
    assert process.stderr is not None
    asked = b""
    while not asked.endswith(b"[y/N] "):
        piece = os.read(process.stderr.fileno(), 1000)
        assert piece, asked
        asked += piece
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 130
    assert b"+ tenant acme" in out
    assert err.endswith(b"sluice: stopped; nothing was changed\n")
    assert sluice("tenants", "show", "acme").code == 3
