"""docs/cli.md is played: its commands in one story, in order, against a server with the demo's catalogue. What the page
shows of an output is in that output, line for line but for what is never the same twice."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.docs.blocks import ROOT, Block, in_way
from tests.docs.shell import commands
from tests.serve_app.cli.conftest import Answer, RedisServer, Server, Sluice

INITECH = "tenants: [{ name: initech }]\nusers: [{ name: peter, tenant: initech }]\n"
POLICY = "{{ name: initech-rate, scope: TENANT, limit: {limit}, window: 1m{match} }}"
MATCH = ", match: { tenant: initech }"

NEVER_THE_SAME = (
    (r"sk-\w+-[\w-]{30,}", "SECRET"),
    (r"sk-\w{16}-[\w-]+", "SECRET"),
    (r'"id": "\w{16}"', '"id": ID'),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "MOMENT"),
    (r"\d+\.\d+ s\b", "SECONDS"),
    (r"\s+", " "),
)


@pytest.fixture
def demo(offline: Sluice, redis_server: RedisServer) -> Iterator[Sluice]:
    """The command line, with the demo's admin key, and a server that has the demo's catalogue."""
    with redis_server.sync() as redis:
        redis.flushall()
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    catalogue = config["applications"][0]["deployments"][0]["user_config"]["catalogue"]
    server = Server(redis_server.socket, catalogue=catalogue, demo=True)
    offline.environ = {"SLUICE_URL": server.url, "SLUICE_KEY": "sk-demo-admin"}
    yield offline
    server.close()


def plain(text: str) -> list[str]:
    """Its lines, without what is never the same twice."""
    for pattern, instead in NEVER_THE_SAME[:-1]:
        text = re.sub(pattern, instead, text)
    lines = (re.sub(*NEVER_THE_SAME[-1], line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def seen(answer: Answer) -> str:
    """What stands in a terminal afterwards: a key follows the line that tells of it, all else comes as it ends."""
    if "shown once" in answer.err:
        return answer.err.replace("\n", f"\n{answer.out}", 1)
    return answer.out + answer.err


class Page:
    """The blocks of the page, each taken once."""

    def __init__(self, sluice: Sluice) -> None:
        self._sluice = sluice
        self._left = {str(block): block for block in in_way("command line")}

    @property
    def left(self) -> list[str]:
        return list(self._left)

    def run(self, beginning: str, code: int = 0) -> str:
        """Runs the block of shell that has this command, and gives all that it said."""
        block = self._take("sh", f"^{re.escape(beginning)}")
        said = ""
        for name, *arguments in commands(block.text):
            if name == "sluice":
                answer = self._sluice(*arguments)
                assert answer.code == code, f"{block}: {answer.err}"
                said += seen(answer)
        return said

    def shows(self, first_line: str, said: str) -> None:
        """The sample with this first line is in what was said, in order."""
        block = self._take("", rf"\A{re.escape(first_line)}")
        lines = iter(plain(said))
        for line in plain(block.text):
            assert line in lines, f"{block}: {line!r} is not, or not in this order, in\n{said}"

    def _take(self, language: str, pattern: str) -> Block:
        found = [b for b in self._left.values() if b.language == language and re.search(pattern, b.text, re.MULTILINE)]
        assert found, f"docs/cli.md has no further block of {language or 'output'!r} with {pattern}"
        return self._left.pop(str(found[0]))


def test_the_page(demo: Sluice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Page(demo)

    page.shows("name ", page.run("sluice tenants list"))
    page.shows("this key is shown once", page.run("sluice keys generate"))

    demo.ok("tenants", "apply", "-f", "-", stdin="{ name: initech, qos_tier: standard }")
    demo.ok("users", "apply", "-f", "-", stdin="{ name: peter, tenant: initech }")
    demo.ok("policies", "apply", "-f", "-", stdin=POLICY.format(limit=2, match=MATCH))
    demo.ok("apply", "-f", "-", "--yes", stdin=f"policies: [{POLICY.format(limit=5, match=MATCH)}]")
    page.shows("name ", page.run("sluice policies list --tenant initech"))
    page.shows("# from the admin API", demo.ok("policies", "show", "initech-rate").out)

    wrong = f"{_lines('initech-rate', limit='two')}  match:\n    tenant: initech\n{_lines('other')}{_lines('other')}"
    (tmp_path / "initech.yaml").write_text(wrong)
    page.shows("sluice: initech.yaml: 2 problems", demo("policies", "apply", "-f", "initech.yaml").err)
    page.shows("sluice: Tenant 'initech' is named by", demo("tenants", "delete", "initech", "--yes").err)

    page.shows("this key is shown once", page.run("sluice keys issue"))
    rotated = demo.ok("keys", "rotate", "peter1")
    page.shows("this key is shown once", seen(rotated))

    key = rotated.out.strip()
    ask(demo.environ["SLUICE_URL"], key, times=3)
    with monkeypatch.context() as patch:
        patch.setitem(demo.environ, "SLUICE_KEY", key)
        shown = demo.ok("limits", "show", "--model", "sim-small")
        page.shows("key peter1,", shown.err + shown.out)
    page.shows("policy ", demo.ok("usage", "--tenant", "initech").out)
    page.shows("applies ", demo.ok("policies", "explain", "--key", "peter1", "--model", "sim-small").out)
    dry_run = demo.ok("policies", "dry-run", "-f", "-", stdin=POLICY.format(limit=2, match=MATCH))
    page.shows("initech-rate, 2 requests", seen(dry_run))
    page.shows("revoked key peter1", seen(demo.ok("keys", "revoke", "peter1")))
    page.shows("version ", demo.ok("audit").out)

    for kind, name in (("keys", "peter1"), ("policies", "initech-rate"), ("users", "peter"), ("tenants", "initech")):
        demo.ok(kind, "delete", name, "--yes")
    demo.ok("policies", "apply", "-f", "-", stdin=POLICY.format(limit=2, match=""))
    (tmp_path / "initech.yaml").write_text(f"{INITECH}policies: [{POLICY.format(limit=5, match='')}]\n")
    page.shows("+ tenant initech", page.run("sluice apply -f initech.yaml --dry-run", code=2))
    assert page.left == []


def _lines(name: str, limit: str = "1") -> str:
    return f"- name: {name}\n  scope: TENANT\n  limit: {limit}\n  window: 1m\n"


def ask(url: str, key: str, times: int) -> None:
    body = {"model": "sim-small", "messages": [{"role": "user", "content": "Hello"}]}
    for _ in range(times):
        reply = httpx.post(f"{url}/v1/chat/completions", headers={"authorization": f"Bearer {key}"}, json=body)
        assert reply.status_code == 200, json.dumps(reply.json())
