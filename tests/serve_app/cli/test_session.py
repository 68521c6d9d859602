"""Address and key, answers and errors: what all commands that talk to a server share."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from serve_app.cli.client import Client, admin_path, is_loopback
from serve_app.cli.errors import CliError, NotFoundError, UnreachableError
from tests.serve_app.cli.conftest import Server, Sluice, secret


def test_without_a_key_the_fix_is_named(offline: Sluice) -> None:
    local = offline("tenants", "list")
    assert local.code == 4
    assert local.err.startswith("sluice: no API key: set SLUICE_KEY, or name a file that holds it with --key-file.")
    assert "sk-demo-admin" in local.err
    assert "sk-demo-admin" not in offline("tenants", "list", "--url", "https://sluice.example").err


def test_where_the_key_comes_from(sluice: Sluice, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(secret("admin1") + "\n")
    bad.write_text("sk-nobody-aaaaaaaaaaaaaaaaaaaaaaaa")
    url = sluice.environ["SLUICE_URL"]
    sluice.environ = {"SLUICE_URL": url, "SLUICE_KEY": bad.read_text()}
    assert sluice("tenants", "list").code == 4
    sluice.ok("tenants", "list", "--key-file", good)
    sluice.environ = {"SLUICE_URL": url, "SLUICE_KEY_FILE": str(good)}
    sluice.ok("tenants", "list")
    sluice.environ["SLUICE_KEY"] = bad.read_text()
    assert sluice("tenants", "list").code == 4
    assert "no such file" in sluice("tenants", "list", "--key-file", tmp_path / "none").err.lower()


def test_what_is_no_key_is_not_repeated(sluice: Sluice) -> None:
    sluice.environ["SLUICE_KEY"] = "two words of secret"
    answer = sluice("tenants", "list")
    assert answer.code == 4
    assert "secret" not in answer.err.replace("sk-<id>-<secret>", "")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:8000", "is no address of a server"),
        ("http://me:secret@h", "holds no user"),
        ("ftp://h", "no address"),
    ],
)
def test_addresses(offline: Sluice, url: str, says: str) -> None:
    answer = offline("tenants", "list", "--url", url)
    assert answer.code == 1
    assert says in answer.err
    assert "me:secret" not in answer.err


def test_nobody_answers(offline: Sluice) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    answer = offline("tenants", "list", "--url", url, key="admin1")
    assert answer.code == 6
    assert f"nothing answers at {url}" in answer.err
    assert "`sluice up`" in answer.err
    as_json = offline("tenants", "list", "--url", url, "--json", key="admin1")
    assert json.loads(as_json.err)["error"]["code"] == "unreachable"
    assert as_json.out == ""


def test_one_answers_too_late() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, "k", answer_timeout_s=0.05) as client, pytest.raises(UnreachableError, match="in time"):
            client.get("/admin/tenants")


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """A server that gives one and the same answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "headers", "code", "says"),
    [
        (200, b"<html>", {}, 1, "is a Sluice there?"),
        (200, b'{"some": "thing"}', {}, 1, "is a Sluice there?"),
        (200, b"[]", {}, 1, "is a Sluice there?"),
        (404, b"<html>", {}, 1, "is a Sluice there?"),
        (302, b"", {"location": "http://elsewhere.invalid/"}, 1, "answered 302"),
        (
            503,
            b'{"error": {"message": "Not now.", "code": "x"}}',
            {"retry_after": "3"},
            6,
            "Not now. Try again in 3 s.",
        ),
        (500, b'{"error": {"message": "Broken.", "code": "internal_error"}}', {}, 1, "Broken."),
        (422, b'{"error": {"message": "a\\nb", "code": "invalid_parameter"}}', {}, 1, "sluice: a; b\n"),
    ],
)
def test_other_answers(
    offline: Sluice, status: int, body: bytes, headers: dict[str, str], code: int, says: str
) -> None:
    with answering(status, body, **headers) as url:
        answer = offline("tenants", "list", "--url", url, key="admin1")
    assert answer.code == code
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_an_export_that_breaks_off_is_no_export(offline: Sluice, tmp_path: Path) -> None:
    body = b'{"kind": "tenants", "entity": {"name": "acme"}}\n'
    with answering(200, body, content_length="1000") as url:
        answer = offline("export", "--url", url, "-o", tmp_path / "c.yaml", key="admin1")
    assert answer.code == 6
    assert list(tmp_path.iterdir()) == []


def test_another_program_at_that_address(offline: Sluice, tmp_path: Path) -> None:
    with answering(200, b'{"some": "thing"}') as url:
        for command in (
            ["tenants", "show", "x"],
            ["limits", "show"],
            ["usage"],
            ["audit"],
            ["export"],
            ["policies", "explain", "--key", "a", "--model", "b"],
        ):
            answer = offline(*command, "--url", url, key="admin1")
            assert answer.code == 1, command
            assert answer.err.count("\n") == 1


def test_arguments_that_are_no_text(offline: Sluice) -> None:
    answer = offline("tenants", "show", "\udcff", key="admin1")
    assert answer.code == 1
    assert "is not UTF-8 text" in answer.err


def test_roles(sluice: Sluice) -> None:
    for role, code in (("operator1", 0), ("gateway1", 4), ("inference1", 4)):
        answer = sluice("tenants", "list", key=role)
        assert answer.code == code, answer.err
    assert sluice("tenants", "apply", "-f", "-", stdin="name: x", key="operator1").code == 4


def test_errors_for_machines(sluice: Sluice) -> None:
    answer = sluice("tenants", "show", "nobody", "--json")
    assert answer.code == 3
    error = json.loads(answer.err)["error"]
    assert error["code"] == "not_found"
    assert "nobody" in error["message"]


def test_wrong_usage_is_not_a_difference(offline: Sluice) -> None:
    for wrong in (["apply", "--dry-run", "--fiel", "x"], ["apply"], ["upp"], ["apply", "-f", "absent.yaml"]):
        assert offline(*wrong).code == 1


def test_names_in_paths() -> None:
    assert admin_path("models", "owner/name") == "/admin/models/owner%2Fname"
    assert admin_path("models", "a/../b") == "/admin/models/a%2F..%2Fb"
    assert admin_path("keys", "a", "rotate") == "/admin/keys/a/rotate"


def test_a_name_with_dots_and_slashes_is_one_name(server: Server) -> None:
    with Client(server.url, secret("admin1")) as client:
        client.send("POST", "/admin/tenants", body=b'{"name": "a/../b"}')
        assert client.get(admin_path("tenants", "a/../b"))["name"] == "a/../b"
        with pytest.raises(NotFoundError):
            client.get(admin_path("tenants", "b"))


@pytest.mark.parametrize(("host", "is_local"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("h", False)])
def test_loopback(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


def test_proxies_of_the_environment_are_not_asked_for_loopback(sluice: Sluice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    sluice.ok("tenants", "list")


def test_pipes_that_close_early_end_quietly(server: Server) -> None:
    command = f"'{Path(sys.executable).with_name('sluice')}' keys list --json | head -c 1"
    environ = {"SLUICE_URL": server.url, "SLUICE_KEY": secret("admin1"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environ, check=False)
    assert done.stderr == ""


def test_completion_asks_the_server(sluice: Sluice, monkeypatch: pytest.MonkeyPatch) -> None:
    from serve_app.cli.completion import completing

    for name, value in sluice.environ.items():
        monkeypatch.setenv(name, value)
    assert completing("keys")("o") == ["operator1"]
    monkeypatch.setenv("SLUICE_KEY", "wrong")
    assert completing("keys")("o") == []
    monkeypatch.delenv("SLUICE_KEY")
    assert completing("keys")("o") == []


def test_the_shell_completes_commands() -> None:
    environ = {
        "_SLUICE_COMPLETE": "complete_bash",
        "COMP_WORDS": "sluice tena",
        "COMP_CWORD": "1",
        "PATH": "/usr/bin:/bin",
    }
    command = [Path(sys.executable).with_name("sluice")]
    assert subprocess.run(command, capture_output=True, text=True, env=environ, check=True).stdout == "tenants\n"


def test_every_error_has_a_code() -> None:
    assert CliError("x").code == "failed"
    assert CliError("x", "other").code == "other"
