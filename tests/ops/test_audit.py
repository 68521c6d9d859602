"""`make audit`: how it ends, whatever the services say; the programs that ask them are stood in for."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from ops import audit

KNOWN = {"name": "one", "version": "1.0", "vulns": [{"id": "PYSEC-1"}]}
CLEAN = {"name": "two", "version": "2.0", "vulns": []}
SKIPPED = {"name": "three", "skip_reason": "not there"}


@pytest.mark.parametrize(
    ("packages", "end", "told"),
    [
        ([CLEAN], 0, "packages: none"),
        ([KNOWN, CLEAN], audit.FOUND, "one 1.0: PYSEC-1"),
        ([CLEAN, SKIPPED], audit.UNANSWERED, "knows nothing of 1 of 2 packages"),
        ([KNOWN, SKIPPED], audit.FOUND, "one 1.0: PYSEC-1"),
        (None, audit.UNANSWERED, "NOT ASKED: nobody is there"),
    ],
)
def test_what_is_found_is_told_and_a_silence_is_no_pass(
    packages: list[dict[str, Any]] | None,
    end: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(audit, "_run", _saying("" if packages is None else json.dumps({"dependencies": packages})))
    monkeypatch.setattr(audit, "QUESTIONS", {"packages": audit.python})
    assert audit.main() == end
    assert told in capsys.readouterr().out


def _saying(stdout: str) -> "Callable[..., subprocess.CompletedProcess[str]]":
    return lambda *command: subprocess.CompletedProcess(command, 1, stdout, "asking\nnobody is there\n")
