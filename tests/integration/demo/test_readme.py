"""README.md is run as it stands: its commands and its snippets, against the application it describes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT, Application

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of README.md in this language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def here(snippet: str, application: Application) -> str:
    """The snippet, sent to the application under test."""
    return snippet.replace("http://127.0.0.1:8000", application.base_url)


def test_operating_it(application: Application) -> None:
    walk = next(block for block in blocks("sh") if "sluice keys issue" in block)
    binaries = str(Path(sys.executable).parent)
    environ = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "SLUICE_URL": application.base_url}
    done = subprocess.run(
        ["bash", "-euc", here(walk, application)], capture_output=True, text=True, timeout=120, env=environ, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    promised = [code for listed in re.findall(r"# (\d{3}(?:, \d{3})*)\n", walk) for code in listed.split(", ")]
    assert re.findall(r"^\d{3}$", done.stdout, re.MULTILINE) == promised == ["200", "200", "429", "200", "401"]
    assert re.search(r"^initech-rate +TENANT +initech +3 +5 ", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"update +policy initech-rate +limit: 2 -> 5", done.stdout), done.stdout
    assert "sk-" not in done.stdout


@pytest.mark.parametrize("command", [b for b in blocks("sh") if b.startswith("curl")], ids=lambda b: b.split()[1][-24:])
def test_every_curl(application: Application, command: str) -> None:
    done = subprocess.run(["bash", "-c", here(command, application)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "error" not in json.loads(done.stdout)


def test_the_openai_snippet(application: Application) -> None:
    snippet = next(block for block in blocks("python") if "openai" in block)
    done = subprocess.run(
        [sys.executable, "-c", here(snippet, application)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("This reply is simulated"), done.stderr


def test_the_library_snippet(application: Application) -> None:
    snippet = next(block for block in blocks("python") if "Limiter(" in block)
    body = "".join(f"    {line}\n" for line in snippet.splitlines())
    socket = application.redis_process().cmdline()[0].split("unixsocket:")[-1]
    if "unixsocket" not in " ".join(application.redis_process().cmdline()):
        pytest.fail(f"how does one reach it? {application.redis_process().cmdline()}")
    program = (
        f"import asyncio\nfrom redis.asyncio import Redis\nredis = Redis(unix_socket_path={socket!r})\n"
        f"async def main():\n{body}    print(decision.allowed, decision.windows[0].remaining)\nasyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "True 9\n", done.stderr


def test_what_the_readme_says_of_the_429(application: Application) -> None:
    curl = here(next(block for block in blocks("sh") if "chat/completions" in block), application)
    for _ in range(12):
        done = subprocess.run(["bash", "-c", curl.replace("curl ", "curl -si ")], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "HTTP/1.1 429 Too Many Requests"
    documented = re.search(r"```\nHTTP/1.1 429.*?\n\n", README, re.DOTALL)
    assert documented is not None
    for line in documented[0].splitlines()[2:]:
        name, _, value = line.partition(": ")
        if name:
            assert any(x.startswith(f"{name}: ") for x in lines), name
        if name == "ratelimit-policy":
            assert f"{name}: {value}" in lines


def test_the_files_that_the_readme_names_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (Path(ROOT) / target).exists(), target
    make = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", make, re.MULTILINE), target
