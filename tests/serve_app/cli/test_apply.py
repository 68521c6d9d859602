"""apply -f and export: a whole catalogue, all of it or nothing, and back again."""

import json
from pathlib import Path
from typing import Any

import pytest

from serve_app.cli.client import Client
from serve_app.cli.errors import VersionConflictError
from tests.policies.redis_server import RedisServer
from tests.serve_app.cli.conftest import CONFIGURED, Server, Sluice, secret

CATALOGUE = """\
tenants:
  - { name: acme, qos_tier: premium }
  - { name: globex }
users:
  - { name: paula, tenant: acme }
tiers:
  - { name: dear }
models:
  - { name: owner/large, tier: dear, aliases: [big], max_output_tokens: 64 }
keys:
  - id: paula1
    user: paula
    sha256: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    expires_at: 2031-01-01T00:00:00Z
policies:
  - { name: burst, scope: TENANT, limit: 2, window: 10s, match: { tenant: acme } }
  - { name: slots, scope: USER_MODEL, unit: concurrent_requests, limit: 4 }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path


def test_a_whole_catalogue_is_applied(sluice: Sluice, file: Path) -> None:
    shown = sluice.ok("apply", "-f", file, "--yes")
    assert "+ tenant acme  qos_tier: premium" in shown.out
    assert "8 to create, 0 to change, 0 to delete, 0 as they are" in shown.out
    assert shown.out.splitlines()[-1] == "applied: 8 changes"
    assert sluice.ok("policies", "show", "burst", "--json").json["limit"] == 2
    again = sluice.ok("apply", "-f", file, "--yes")
    assert again.out == "0 to create, 0 to change, 0 to delete, 8 as they are\n"


def test_a_dry_run_tells_by_its_exit_code(sluice: Sluice, file: Path) -> None:
    assert sluice("apply", "-f", file, "--dry-run").code == 2
    assert sluice.ok("tenants", "list", "--source", "api", "--json").json == []
    sluice.ok("apply", "-f", file, "--yes")
    assert sluice("apply", "-f", file, "--dry-run").code == 0


def test_the_difference_names_fields(sluice: Sluice, file: Path) -> None:
    sluice.ok("apply", "-f", file, "--yes")
    file.write_text(CATALOGUE.replace("limit: 2", "limit: 5").replace("  - { name: globex }\n", ""))
    plain = sluice("apply", "-f", file, "--dry-run")
    assert plain.out == "~ policy burst  limit: 2 -> 5\n0 to create, 1 to change, 0 to delete, 6 as they are\n"
    pruned = sluice("apply", "-f", file, "--dry-run", "--prune")
    assert "- tenant globex\n" in pruned.out
    sluice.ok("apply", "-f", file, "--prune", "--yes")
    assert sluice("tenants", "show", "globex").code == 3


def test_for_machines(sluice: Sluice, file: Path) -> None:
    done = sluice.ok("apply", "-f", file, "--yes", "--json").json
    assert done["plan"]["create"] == 8
    assert (done["import"]["state"], done["import"]["done"], done["import"]["total"]) == ("done", 8, 8)
    nothing = sluice.ok("apply", "-f", file, "--yes", "--json").json
    assert nothing["unchanged"] == 8


def test_it_asks_and_no_changes_nothing(sluice: Sluice, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "say --yes" in sluice("apply", "-f", file).err
    for said, code in ((False, 1), (True, 0)):
        monkeypatch.setattr("serve_app.cli.applying.confirm", answering(said))
        assert sluice("apply", "-f", file).code == code
        assert bool(sluice.ok("tenants", "list", "--source", "api", "--json").json) is said


def answering(said: bool) -> Any:
    from serve_app.cli.errors import NotConfirmedError

    def confirm(question: str, unchanged: str = "") -> None:
        if not said:
            raise NotConfirmedError(unchanged)

    return confirm


def test_what_contradicts_the_catalogue_is_refused_whole(sluice: Sluice, file: Path) -> None:
    file.write_text(CATALOGUE.replace("tenant: acme }", "tenant: nowhere }", 1))
    for options in (["--yes"], ["--dry-run"]):
        answer = sluice("apply", "-f", file, *options)
        assert answer.code == 5
        assert "user 'paula' names tenant 'nowhere', which does not exist" in answer.err
    assert sluice.ok("tenants", "list", "--source", "api", "--json").json == []


def test_wrong_lines_are_named_and_nothing_is_sent(offline: Sluice, file: Path) -> None:
    file.write_text(CATALOGUE.replace("limit: 2", "limit: two").replace("name: globex }", "name: acme }"))
    answer = offline("apply", "-f", file)  # without a server: it is not asked
    assert answer.code == 1
    assert f"{file}:3: tenant 'acme' stands on line 2 too" in answer.err
    assert f"{file}:16: policies[0].limit: " in answer.err
    assert "2 problems, nothing was sent" in answer.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds nothing"),
        ("tenants: {a: b}", "1: tenants: must be a list of tenants, but it is a mapping"),
        ("tenant: []", "1: tenant: unknown key; did you mean tenants?"),
        ("- name: acme", "must hold the lists tenants, users, keys, tiers, models, policies, but it is a list"),
        ("tenants: [}", ":1:11: not valid YAML"),
        ("tenants:\n- {name: a, name: b}", ":2:13: tenants[0].name: this key was given on line 2 already"),
        ("applications: []", "has no user_config.catalogue"),
        ("keys:\n- {id: a, user: b, sha256: sk-a-verysecretverysecret}", "2: keys[0].sha256: must be the lower-case"),
    ],
)
def test_files_that_are_none(offline: Sluice, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    answer = offline("apply", "-f", path, "--yes")
    assert answer.code == 1
    assert says in answer.err
    assert "verysecret" not in answer.err


def test_json_with_tabs_is_read(sluice: Sluice, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"tenants": [{"name": "acme"}]}, indent="\t"))
    assert "+ tenant acme" in sluice.ok("apply", "-f", path, "--yes").out


def test_a_whole_serve_config_is_taken(sluice: Sluice, tmp_path: Path) -> None:
    ingress = {
        "name": "Ingress",
        "user_config": {"catalogue": {**CONFIGURED, "tiers": [{"name": "cheap"}, {"name": "x"}]}},
    }
    path = tmp_path / "serve_config.yaml"
    path.write_text(json.dumps({"applications": [{"import_path": "serve_app:build", "deployments": [ingress]}]}))
    assert sluice.ok("apply", "-f", path, "--yes").out.startswith("+ tier x\n1 to create")


def test_somebody_else_was_faster(sluice: Sluice, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from serve_app.cli.importing import Import

    commit = Import.commit
    calls: list[int] = []

    def slow(self: Import, version: int) -> dict[str, Any]:
        calls.append(version)
        if len(calls) == 1:
            with Client(sluice.environ["SLUICE_URL"], secret("admin1")) as other:
                other.send("POST", "/admin/tenants", body=b'{"name": "late"}')
        return commit(self, version)

    monkeypatch.setattr(Import, "commit", slow)
    answer = sluice.ok("apply", "-f", file, "--yes")
    assert "the catalogue changed meanwhile: planned again" in answer.err
    assert len(calls) == 2
    assert calls[0] < calls[1]
    assert sluice.ok("users", "show", "paula", "--json").json["tenant"] == "acme"

    def never(self: Import, version: int) -> dict[str, Any]:
        raise VersionConflictError("too late again")

    monkeypatch.setattr(Import, "commit", never)
    file.write_text("tenants: [{name: third}]")
    assert sluice("apply", "-f", file, "--yes").code == 5


def test_interrupted_before_the_commit(sluice: Sluice, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from serve_app.cli.importing import Import

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Import, "plan", interrupted)
    answer = sluice("apply", "-f", file, "--yes")
    assert (answer.code, answer.err) == (130, "sluice: stopped; nothing was changed\n")
    assert sluice.ok("tenants", "list", "--source", "api", "--json").json == []


def test_interrupted_after_the_commit(sluice: Sluice, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from serve_app.cli.importing import Import

    states = Import.states

    def interrupted(_: Import) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Import, "states", interrupted)
    answer = sluice("apply", "-f", file, "--yes")
    assert answer.code == 130
    assert "What is committed, the server completes" in answer.err
    monkeypatch.setattr(Import, "states", states)
    identifier = answer.err.partition("(import ")[2].partition(")")[0]
    with Client(sluice.environ["SLUICE_URL"], secret("admin1")) as client:
        watched = Import.__new__(Import)
        watched._client, watched.id = client, identifier
        assert list(watched.states())[-1]["done"] == 8


def test_the_server_goes_away_after_the_commit(sluice: Sluice, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from serve_app.cli.errors import UnreachableError
    from serve_app.cli.importing import Import

    def gone(_: Import) -> None:
        raise UnreachableError("nothing answers")

    monkeypatch.setattr(Import, "states", gone)
    answer = sluice("apply", "-f", file, "--yes")
    assert answer.code == 6
    assert "nothing answers. What is committed, the server completes" in answer.err


@pytest.mark.parametrize(
    "entity",
    ["{1: 2}", "just text", "[[]]", "{name: [a]}", "{name: 3, ? [a] : b}", "!!python/x y", "[", "\t", "&a [*a]"],
)
@pytest.mark.parametrize("command", [["apply", "--yes"], ["tenants", "apply"]])
def test_any_yaml_is_answered_in_sentences(offline: Sluice, tmp_path: Path, entity: str, command: list[str]) -> None:
    path = tmp_path / "c.yaml"
    for text in (f"tenants:\n- {entity}\n", f"tenants: {entity}\n", entity):
        path.write_text(text)
        answer = offline(*command, "-f", path)
        assert answer.code == 1 or text.strip() == "tenants:", (text, answer)
        assert answer.err.startswith("sluice: ") or not answer.code


def many_tenants(count: int) -> str:
    return "tenants:\n" + "".join(f'  - {{"name": "tenant-{at:05}"}}\n' for at in range(count))


def test_parts_fit_what_the_server_takes(redis_server: RedisServer, offline: Sluice, tmp_path: Path) -> None:
    with redis_server.sync() as redis:
        redis.flushall()
    server = Server(redis_server.socket, max_body_bytes=2048)
    try:
        offline.environ = {"SLUICE_URL": server.url, "SLUICE_KEY": secret("admin1")}
        path = tmp_path / "many.yaml"
        path.write_text(many_tenants(500))
        assert offline.ok("apply", "-f", path, "--yes").out.endswith("applied: 500 changes\n")
        assert len(offline.ok("tenants", "list", "--all", "--source", "api", "--json").json) == 500
        assert "… and 300 more\n" in offline("apply", "-f", "-", "--prune", "--dry-run", stdin="tiers: []").out
    finally:
        server.close()


def test_export_and_import_are_the_identity(
    redis_server: RedisServer, sluice: Sluice, file: Path, tmp_path: Path
) -> None:
    sluice.ok("apply", "-f", file, "--yes")
    sluice.ok("keys", "issue", "--user", "paula", "--id", "paula2")
    sluice.ok("keys", "rotate", "paula2", "--overlap", "1h")
    sluice.ok("keys", "revoke", "paula1")
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    sluice.ok("export", "-o", first)
    assert first.stat().st_mode & 0o077 == 0
    assert sluice("apply", "-f", first, "--dry-run", "--prune").code == 0
    assert sluice.ok("export").out == first.read_text()

    with redis_server.sync() as redis:
        redis.flushall()
    empty = Server(redis_server.socket)
    try:
        sluice.environ["SLUICE_URL"] = empty.url
        sluice.ok("apply", "-f", first, "--prune", "--yes")
        sluice.ok("export", "-o", second)
        assert second.read_bytes() == first.read_bytes()
        assert sluice("apply", "-f", first, "--dry-run", "--prune").code == 0
    finally:
        empty.close()


def test_an_export_of_everything_changes_nothing_here(sluice: Sluice, file: Path) -> None:
    sluice.ok("apply", "-f", file, "--yes")
    everything = sluice.ok("export", "--all").out
    assert '"name": "platform"' in everything
    assert sluice.ok("apply", "-f", "-", "--dry-run", "--prune", stdin=everything).out.startswith(
        "0 to create, 0 to ch"
    )


def test_an_empty_catalogue_is_exported_as_empty_lists(sluice: Sluice) -> None:
    assert sluice.ok("export").out == "tenants: []\nusers: []\nkeys: []\ntiers: []\nmodels: []\npolicies: []\n"


def test_an_export_for_machines(sluice: Sluice, file: Path) -> None:
    sluice.ok("apply", "-f", file, "--yes")
    exported = sluice.ok("export", "--json").json
    assert exported["tenants"] == [{"name": "acme", "qos_tier": "premium"}, {"name": "globex"}]
    assert sluice.ok("apply", "-f", "-", "--dry-run", stdin=json.dumps(exported)).code == 0


def test_an_export_that_cannot_be_written_leaves_nothing(sluice: Sluice, tmp_path: Path) -> None:
    answer = sluice("export", "-o", tmp_path / "no" / "c.yaml")
    assert answer.code == 1
    assert "cannot be written" in answer.err
    assert sluice("export", "-o", tmp_path / "c.yaml", key="operator1").code == 4
    assert list(tmp_path.iterdir()) == []
