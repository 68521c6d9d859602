"""The documentation is run as it stands: its requests and snippets, against the application that it describes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.docs.blocks import Block, in_way
from tests.integration.conftest import ROOT, Application

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

README = (ROOT / "README.md").read_text()
WALK = next(block for block in in_way("demo") if block.page == "README.md" and "sluice keys issue" in block.text)
"""Operating it: a new tenant, from nothing to revoked."""

CURL = 'curl() { command curl --silent --show-error --fail-with-body --max-time 30 "$@"; }\n'
"""What a request is refused with fails."""
UNTIL_IT_BEGINS = "| sed '/^event: hello/q'"
"""Leaves a stream without end (`curl -N`) as soon as it has begun."""


def here(snippet: str, application: Application) -> str:
    """The snippet, sent to the application under test."""
    return snippet.replace("http://127.0.0.1:8000", application.base_url)


def bash(
    script: str, application: Application, folder: Path = ROOT, **environ: str
) -> subprocess.CompletedProcess[str]:
    binaries = str(Path(sys.executable).parent)
    return subprocess.run(
        ["bash", "-euc", here(script, application)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "SLUICE_URL": application.base_url,
            "SLUICE_KEY": "sk-demo-admin",
            **environ,
        },
    )


def test_operating_it(application: Application) -> None:
    done = bash(WALK.text, application, SLUICE_KEY="")
    assert done.returncode == 0, done.stderr
    promised = [code for listed in re.findall(r"# (\d{3}(?:, \d{3})*)\n", WALK.text) for code in listed.split(", ")]
    assert re.findall(r"^\d{3}$", done.stdout, re.MULTILINE) == promised == ["200", "200", "429", "200", "401"]
    assert re.search(r"^initech-rate +TENANT +initech +3 +5 ", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"update +policy initech-rate +limit: 2 -> 5", done.stdout), done.stdout
    assert "sk-" not in done.stdout


@pytest.fixture(scope="module")
def gateway_key(application: Application) -> str:
    """A key with the role gateway, which some page speaks of; the demo has none."""
    admin = httpx.Client(base_url=application.base_url, headers={"authorization": "Bearer sk-demo-admin"})
    with admin:
        made = admin.post("/admin/keys", json={"user": "ada", "role": "gateway"})
    assert made.status_code == 201, made.text
    secret: str = made.json()["secret"]
    return secret


@pytest.mark.parametrize("block", [block for block in in_way("demo") if block != WALK], ids=str)
def test_what_asks_a_server(application: Application, gateway_key: str, block: Block, tmp_path: Path) -> None:
    for config in ROOT.glob("serve_config*.yaml"):
        (tmp_path / config.name).symlink_to(config)
    streams = [line for line in block.text.splitlines() if line.startswith("curl -N")]
    for script in streams or [block.text]:
        until = UNTIL_IT_BEGINS if streams else ""
        done = bash(f"{CURL}{script} {until}", application, tmp_path, GATEWAY_KEY=gateway_key)
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        assert done.stdout.strip(), script
        assert not streams or "event: hello" in done.stdout, done.stdout


@pytest.mark.parametrize("block", in_way("sdk"), ids=str)
def test_the_openai_snippet(application: Application, block: Block) -> None:
    done = subprocess.run(
        [sys.executable, "-c", here(block.text, application)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert block.page != "README.md" or done.stdout.startswith("This reply is simulated"), done.stderr


def test_what_the_readme_says_of_the_429(application: Application) -> None:
    request = next(block for block in in_way("demo") if "chat/completions" in block.text and block != WALK)
    for _ in range(12):
        done = bash(request.text.replace("curl ", "curl -si "), application)
    lines = done.stdout.splitlines()
    assert lines[0] == "HTTP/1.1 429 Too Many Requests"
    (documented,) = in_way("429")
    for line in documented.text.partition("\n\n")[0].splitlines()[1:]:
        name, _, value = line.partition(": ")
        assert any(x.startswith(f"{name}: ") for x in lines), name
        if name == "ratelimit-policy":
            assert f"{name}: {value}" in lines


def test_the_files_that_the_readme_names_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (Path(ROOT) / target).exists(), target
