"""docs/cli.md describes every command and every option; a new one without a word about it fails here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from serve_app.cli.app import build
from serve_app.cli.errors import ExitCode
from serve_app.cli.kinds import SINGULAR

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
SECTIONS = re.split(r"^(?=##+ )", PAGE, flags=re.MULTILINE)
OF_ALL = next(section for section in SECTIONS if section.startswith("## Options of every command"))


def commands(command: Any, path: tuple[str, ...] = ("sluice",)) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Every command with the long forms of its options."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))
        return
    options = [o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")]
    yield path, options


def documented_as(path: tuple[str, ...]) -> str:
    """How the page calls a command: what every kind has is described once."""
    if path[1] in SINGULAR and path[2] in ("show", "apply", "delete"):
        return f"sluice KIND {path[2]}"
    return " ".join(path)


def test_every_command_and_option_is_described() -> None:
    found = list(commands(typer.main.get_command(build())))
    assert len(found) > 30
    missing = []
    for path, options in found:
        name = documented_as(path)
        sections = [s for s in SECTIONS if re.search(rf"(`|^#+ ){name}\b", s, re.MULTILINE)]
        if not sections:
            missing.append(name)
        for option in options:
            if not any(re.search(rf"`{option}[` ]", section) for section in (*sections, OF_ALL)):
                missing.append(f"{name} {option}")
    assert not missing


def test_the_options_of_the_command_line_itself_are_described() -> None:
    for parameter in typer.main.get_command(build()).params:
        assert f"sluice {parameter.opts[0]}`" in PAGE


def test_every_exit_code_is_described() -> None:
    section = next(section for section in SECTIONS if section.startswith("## Exit codes"))
    assert re.findall(r"^\| (\d+) \|", section, re.MULTILINE) == [str(int(code)) for code in ExitCode]


def test_what_is_described_exists() -> None:
    known = {documented_as(path) for path, _ in commands(typer.main.get_command(build()))}
    named = re.findall(r"^### (sluice [a-zA-Z-]+(?: [a-z-]+)?)", PAGE, re.MULTILINE)
    assert {name.removesuffix(" -f").strip() for name in named} - known - {"sluice KIND list"} == set()
