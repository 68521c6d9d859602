"""`make audit`: whether something is known against a dependency in the lock files.

    python -m ops.audit

Three kinds of questions: has a locked version of a Python package been withdrawn (pip asks the package index, and
takes each file, which is why that is asked of `runtime.lock` alone: `gpu.lock` has gigabytes more), are there known
vulnerabilities in Python packages (pip-audit; of both images, and of what the extras and the tools are tested with),
and in the page's (npm audit). The last two need public services of vulnerabilities. A question that cannot be asked
is told as such, and is no pass: the end is 0 where all were answered with nothing, 1 where something was found, 3
where nothing was found and not all could be asked.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOUND, UNANSWERED = 1, 3


class UnansweredError(Exception):
    """Nobody could be asked, or not about everything; says why, and what was found nevertheless."""

    def __init__(self, why: str, found: Sequence[str] = ()) -> None:
        super().__init__(why)
        self.found = tuple(found)


def withdrawn() -> list[str]:
    """Locked versions that the package index says were withdrawn."""
    done = _run(
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"),
        *("--disable-pip-version-check", "--require-hashes", "-r", "requirements/runtime.lock"),
    )
    if done.returncode != 0:
        raise UnansweredError(_last_line(done.stderr))
    return [line for line in done.stderr.splitlines() if "yanked" in line]


def python(lock: str) -> list[str]:
    """Known vulnerabilities of Python packages."""
    done = _run(
        *(sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json"),
        *("--progress-spinner", "off", "-r", f"requirements/{lock}"),
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        raise UnansweredError(_last_line(done.stderr)) from None
    known = [each for each in packages if "skip_reason" not in each]
    found = [f"{each['name']} {each['version']}: {vuln['id']}" for each in known for vuln in each["vulns"]]
    if len(known) < len(packages):
        unknown = len(packages) - len(known)
        raise UnansweredError(f"the service knows nothing of {unknown} of {len(packages)} packages", found)
    return found


def page() -> list[str]:
    """Known vulnerabilities of what is built into the page."""
    done = _run("npm", "--prefix", "frontend", "audit", "--package-lock-only", "--omit", "dev", "--json")
    try:
        told = json.loads(done.stdout)
    except ValueError:
        raise UnansweredError(_last_line(done.stderr)) from None
    if "vulnerabilities" not in told:
        raise UnansweredError(str(told.get("message") or _last_line(done.stderr)))
    return [f"{name}: {each['severity']}" for name, each in told["vulnerabilities"].items()]


QUESTIONS: dict[str, Callable[[], list[str]]] = {
    "withdrawn versions of Python packages": withdrawn,
    **{
        f"known vulnerabilities of Python packages, {lock}": partial(python, lock)
        for lock in ("runtime.lock", "gpu.lock", "dev.lock")
    },
    "known vulnerabilities of the page's packages": page,
}


def main() -> int:
    """Asks all of them; what the process ends with."""
    found = unanswered = 0
    for what, ask in QUESTIONS.items():
        try:
            told = ask()
        except UnansweredError as error:
            unanswered += 1
            found += len(error.found)
            print(f"{what}: NOT ASKED: {error}", *error.found, sep="\n  ")
            continue
        found += len(told)
        print(f"{what}: {len(told) or 'none'}", *told, sep="\n  ")
    return FOUND if found else UNANSWERED if unanswered else 0


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  no shell


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason was given")


if __name__ == "__main__":
    sys.exit(main())
