"""The commands of a block of shell."""

import pytest

from tests.docs.shell import commands, is_asking, is_static


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("make run   # all of it\n", [["make", "run"]]),
        ("A=1 .venv/bin/sluice check x.yaml", [["sluice", "check", "x.yaml"]]),
        (
            "export A=1\nsluice keys issue \\\n  --user ada",
            [["export", "A=1"], ["sluice", "keys", "issue", "--user", "ada"]],
        ),
        ("sluice apply -f - <<< '{ name: a; b }' && make x", [["sluice", "apply", "-f", "-"], ["make", "x"]]),
        ("sluice export > out.yaml | sort", [["sluice", "export"], ["sort"]]),
        ("make load ARGS='--processes 2'", [["make", "load", "ARGS=--processes 2"]]),
    ],
)
def test_commands(text: str, expected: list[list[str]]) -> None:
    assert commands(text) == expected


def test_what_is_not_checked_is_not_static() -> None:
    assert is_static(["make", "run"])
    assert not is_static(["curl", "http://127.0.0.1:8000"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("curl http://127.0.0.1:8000/readyz", True),
        ("sluice usage --tenant acme", True),
        ("ask() {\n  curl x\n}\nask; ask", True),
        ("make run   # then: curl http://127.0.0.1:8000", False),
        ("sluice up serve_config.yaml", False),
        ("curl x && rm -rf y", False),
    ],
)
def test_what_asks_a_server(text: str, expected: bool) -> None:
    assert is_asking(text) is expected
