"""docs/security.md points at what is there: each test that it names, each setting, each file."""

import re
from pathlib import Path

from serve_app.haproxy import VARIABLE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()


def test_every_threat_names_a_test_that_is_there() -> None:
    threats = TEXT.partition("## Threats")[2].partition("## What is left")[0]
    rows = [line for line in threats.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 20
    for row in rows:
        named = re.findall(r"`(tests/[\w/.]+\.py)`", row)
        assert named, row
        for path in named:
            assert re.search(r"^(async )?def test_", (ROOT / path).read_text(), re.MULTILINE), path


def test_every_file_that_it_links_is_there() -> None:
    for page in ("docs/security.md", "SECURITY.md", "docs/kubernetes.md"):
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text()):
            if "://" not in link:
                assert (ROOT / page).parent.joinpath(link).exists(), f"{page}: {link}"


def test_the_names_in_it_are_those_of_the_code() -> None:
    assert f"`{VARIABLE}`" in TEXT
    assert "SLUICE_SHA256" in (ROOT / "ops" / "redis" / "users.acl").read_text()
