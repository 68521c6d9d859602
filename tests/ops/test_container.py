"""ops/container: what its lines promise, read from them. No container engine runs here, so no image is built."""

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / "ops" / "container" / "Containerfile"


@dataclass(frozen=True)
class Stage:
    """What stands between one FROM and the next."""

    base: str
    name: str
    lines: tuple[tuple[str, str], ...]
    """Instruction and the rest."""

    def all_of(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.lines if name == instruction]


def _stages() -> dict[str, Stage]:
    text = re.sub(r"^\s*#.*\n", "", FILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = Stage(base, name, ())
        else:
            last = found[next(reversed(found))]
            found[last.name] = Stage(last.base, last.name, (*last.lines, (instruction, rest)))
    return found


STAGES = _stages()


@pytest.mark.parametrize("name", ["sluice", "gpu"])
def test_it_does_not_run_as_root(name: str) -> None:
    assert STAGES[name].all_of("USER") == ["1000:1000"]
    assert STAGES[name].lines[-1][0] == "CMD"


def test_what_is_built_where_nothing_is_said_is_the_small_one() -> None:
    assert next(reversed(STAGES)) == "sluice"


def test_every_base_is_a_named_version_or_an_earlier_stage() -> None:
    for stage in STAGES.values():
        assert stage.base in STAGES or re.fullmatch(r"[a-z]+:\d+(\.\d+)?-[a-z-]+", stage.base)


def test_everything_comes_from_lock_files_with_hashes() -> None:
    installing = [
        command.strip()
        for stage in STAGES.values()
        for run in stage.all_of("RUN")
        for command in run.split("&&")
        if re.search(r"pip (install|sync)|npm ", command)
    ]
    assert len(installing) == 7
    for command in installing:
        locked = re.search(r"requirements/(\w+)\.lock", command)
        if locked:
            assert "--require-hashes" in command
            assert (ROOT / "requirements" / f"{locked[1]}.lock").is_file()
        else:  # the wheel that was just built, and the page's own lock
            assert (
                command in ("npm install --no-save --no-progress", "npm run build") or "/build/wheel/*.whl" in command
            )
    assert not re.search(r"https?://|curl|wget|apt-get|ADD ", FILE.read_text())


def test_there_is_no_place_for_a_secret() -> None:
    for stage in STAGES.values():
        assert not stage.all_of("ARG")
        for variables in stage.all_of("ENV"):
            assert not re.search(r"pass|secret|token|key", variables, re.IGNORECASE)


def test_what_is_copied_is_there_and_nothing_else_is_given_to_the_build() -> None:
    lines = (ROOT / ".containerignore").read_text().splitlines()
    assert lines[1] == "*"  # first everything is left out
    given = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for stage in STAGES.values()
        for rest in stage.all_of("COPY")
        if not rest.startswith("--from=")
        for source in rest.split()[:-1]
    }
    for source in copied:
        assert (ROOT / source).exists()
        assert source.rstrip("/").partition("/")[0] in given
    assert given == {source.rstrip("/").partition("/")[0] for source in copied}
    for never in (".git", ".env", ".sluice", ".venv", "tests", "ops"):
        assert not any(fnmatch.fnmatch(never, pattern) for pattern in given)
    assert (ROOT / ".dockerignore").resolve() == (ROOT / ".containerignore").resolve()


def test_the_wheel_has_what_it_is_built_from() -> None:
    """hatchling takes these packages, and the page where hatch_build.py looks for it."""
    build = STAGES["build"].all_of("COPY")
    packages = re.search(r"packages = \[(.*)\]", (ROOT / "pyproject.toml").read_text())
    assert packages is not None
    for package in re.findall(r'"(\w+)"', packages[1]):
        assert f"{package}/ {package}/" in build
    assert "--from=page /build/frontend/dist frontend/dist/" in build
