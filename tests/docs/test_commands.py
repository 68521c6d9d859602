"""Commands that take too long to run, or start a server, exist as the documentation writes them: the program, its
subcommand, every option, every file and every target. Where a block is run as well, this costs nothing more."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import click
import pytest
import typer
import typer.main

from serve_app.cli.app import build
from tests.docs.blocks import ROOT, Block, blocks, in_way
from tests.docs.shell import HARMLESS, NotParsedError, commands, is_static

MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MISSING_FILES = ("initech.yaml", "catalogue.yaml", "overrides.txt", "requirements.txt", "admin.key")
"""What a reader makes, or may."""


def _make(arguments: list[str]) -> None:
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        if is_variable:
            assert re.search(rf"\$[({{]{name}\b|^{name} \?=", MAKEFILE, re.MULTILINE), f"the Makefile knows no {name}"
        elif not word.startswith("-"):
            assert re.search(rf"^{re.escape(word)}:", MAKEFILE, re.MULTILINE), f"the Makefile has no target {word}"


def _parsed(command: Any, name: str, arguments: list[str]) -> None:
    """By the command line's own parser, which knows every option; nothing is run."""
    with command.make_context(name, list(arguments), resilient_parsing=False) as context:
        if hasattr(command, "resolve_command"):
            rest = [*context._protected_args, *context.args]  # click 9 has them in one
            if not rest:
                return
            found, inner, remaining = command.resolve_command(context, rest)
            assert inner is not None, f"{name} has no command {found}"
            _parsed(inner, inner.name or "", remaining)


@cache
def _sluice_command() -> Any:
    return typer.main.get_command(build())


def _sluice(arguments: list[str]) -> None:
    if arguments and not arguments[0].startswith("--"):
        _parsed(_sluice_command(), "sluice", arguments)


def _serve(arguments: list[str]) -> None:
    from ray.serve.scripts import cli  # a second, which most runs need not spend

    _parsed(cli, "serve", arguments)


def _python(arguments: list[str]) -> None:
    if arguments and arguments[0].endswith(".py"):
        assert (ROOT / arguments[0]).exists(), f"there is no {arguments[0]}"
        return
    if arguments[:1] == ["-m"] and arguments[1] != "pytest":
        module = arguments[1]
        assert find_spec(module), f"there is no module {module}"
        if options := [word.partition("=")[0] for word in arguments[2:] if re.match(r"--?[a-z]", word)]:
            told = _help("-m", module)
            missing = [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", told)]
            assert not missing, f"python -m {module} has no {missing}"


@cache
def _help(*program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *program, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _npm(arguments: list[str]) -> None:
    words = [word for word in arguments if not word.startswith("-") and word != "frontend"]
    if words[:1] == ["run"]:
        scripts = json.loads((ROOT / "frontend" / "package.json").read_text())["scripts"]
        assert words[1] in scripts, f"frontend/package.json has no script {words[1]}"


def _locust(arguments: list[str]) -> None:
    told = _help("-m", "locust")
    for word in arguments:
        if word.startswith("-"):
            assert re.search(rf"(?<![\w-]){word}(?![\w-])", told), f"locust has no {word}"


def _pip(arguments: list[str]) -> None:
    for word in arguments:
        if found := re.match(r"sluice\[(.*)\]", word):
            unknown = set(found[1].split(",")) - set(PROJECT["optional-dependencies"])
            assert not unknown, f"sluice has no extra {unknown}"


# typer has a click of its own, and no name for the base of its errors.
USAGE_ERRORS = (click.UsageError, typer.BadParameter.__bases__[0])

CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": _make,
    "sluice": _sluice,
    "serve": _serve,
    "python": _python,
    "python3": _python,
    "npm": _npm,
    "locust": _locust,
    "pip": _pip,
    "uv": _pip,
}


def _shell() -> list[Block]:
    """Every block of shell: what of it can be checked is checked, whether or not the rest is run."""
    return [block for block in blocks() if block.language == "sh"]


@pytest.mark.parametrize("block", _shell(), ids=str)
def test_what_is_named_exists(block: Block) -> None:
    try:
        found = commands(block.text)
    except NotParsedError:
        assert block not in in_way("commands")
        return
    for command in found:
        if not is_static(command) or command[0] in HARMLESS:
            continue
        try:
            CHECKS[command[0]](command[1:])
        except USAGE_ERRORS as error:
            pytest.fail(f"{block}: {' '.join(command)}: {error}")
        for word in command[1:]:
            if re.fullmatch(r"[\w./-]+\.(ya?ml|py|txt|lock)", word) and word not in MISSING_FILES:
                assert (ROOT / word).exists(), f"{block}: there is no {word}"


@pytest.mark.parametrize(
    "command", [["make", "no-such-target"], ["make", "load", "SCENE=x"], ["npm", "run", "nothing"]]
)
def test_what_does_not_exist_is_noticed(command: list[str]) -> None:
    with pytest.raises(AssertionError):
        CHECKS[command[0]](command[1:])


@pytest.mark.parametrize(
    "arguments", [["keys", "issue", "--usr", "ada"], ["keyz", "list"], ["policies", "explain", "x"]]
)
def test_a_misspelt_command_of_ours_is_noticed(arguments: list[str]) -> None:
    with pytest.raises(USAGE_ERRORS):
        _sluice(arguments)
