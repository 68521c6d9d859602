"""`make sbom`: what Sluice is made of, as CycloneDX, from the lock files alone.

    python -m ops.sbom FOLDER      FOLDER/python.cdx.json, FOLDER/python-gpu.cdx.json, FOLDER/page.cdx.json

The same lock files give the same bytes: what the tools put in of the moment (a serial number, the time) is taken out.
Python's is made by cyclonedx-py, the page's by npm; what only develops or tests it is not in them.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def python(lock: str) -> dict[str, Any]:
    """What an image is made from: `runtime.lock`, or `gpu.lock`, which has all of that too."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible"]
    return _output([*command, "--spec-version", "1.5", f"requirements/{lock}"])


def page() -> dict[str, Any]:
    """What is built into the page."""
    return _output(
        ["npm", "--prefix", "frontend", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only", "--omit", "dev"]
    )


def steady(bom: dict[str, Any]) -> str:
    """The same text for the same components."""
    kept = {name: value for name, value in bom.items() if name != "serialNumber"}
    metadata = {name: value for name, value in kept.get("metadata", {}).items() if name != "timestamp"}
    kept["metadata"] = metadata
    kept["components"] = sorted(kept["components"], key=lambda each: (each["name"], each["version"]))
    return json.dumps(kept, indent=2, sort_keys=True) + "\n"


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "python.cdx.json": partial(python, "runtime.lock"),
    "python-gpu.cdx.json": partial(python, "gpu.lock"),
    "page.cdx.json": page,
}


def main(folder: Path) -> None:
    """Writes all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PARTS.items():
        bom = make()
        (folder / name).write_text(steady(bom))
        print(f"{folder / name}: {len(bom['components'])} components")


def _output(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  no shell
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr}")
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
