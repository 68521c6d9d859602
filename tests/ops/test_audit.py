"""`make audit`: how it ends, whatever the services say; the programs that ask them are stood in for."""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ops import audit, sbom

TOOLS = {"requirements/installer.lock", "requirements/build.lock"}
"""What makes an image and is not in it."""

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
    monkeypatch.setattr(audit, "QUESTIONS", {"packages": partial(audit.python, "runtime.lock")})
    assert audit.main() == end
    assert told in capsys.readouterr().out


def test_the_locks_of_every_image_are_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """And told of by `make sbom`."""
    asked: list[str] = []

    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        asked.extend(command)
        return _saying("")(*command)

    monkeypatch.setattr(audit, "_run", run)
    assert audit.main() == audit.UNANSWERED
    image = (Path(audit.ROOT) / "ops" / "container" / "Containerfile").read_text()
    locks = {f"requirements/{lock}" for lock in ("runtime.lock", "gpu.lock")}
    assert locks == {word for word in image.split() if word.endswith(".lock")} - TOOLS
    assert locks <= set(asked)
    told = {part.args[0] for part in sbom.PARTS.values() if isinstance(part, partial)}
    assert locks == {f"requirements/{lock}" for lock in told}


def test_a_bill_of_materials_is_the_same_for_the_same_locks() -> None:
    """Its time, its serial number and its order say nothing of what is in it."""
    one, other = ({"name": name, "version": "1"} for name in ("a", "b"))
    told = {"serialNumber": "urn:1", "metadata": {"timestamp": "now", "tools": []}, "components": [one, other]}
    later = {"serialNumber": "urn:2", "metadata": {"timestamp": "then", "tools": []}, "components": [other, one]}
    assert sbom.steady(told) == sbom.steady(later)
    assert "urn" not in sbom.steady(told)
    assert sbom.steady(told) != sbom.steady({**told, "components": [one]})


def _saying(stdout: str) -> "Callable[..., subprocess.CompletedProcess[str]]":
    return lambda *command: subprocess.CompletedProcess(command, 1, stdout, "asking\nnobody is there\n")
