"""docs/admin.md is run as it stands: its commands in one shell, in order, against the demo's catalogue."""

import asyncio
import re
from pathlib import Path

import uvicorn
import yaml

from deployments.ingress.admin.routing import OPERATOR_MAY
from deployments.ingress.app import create_app
from deployments.ingress.state import IngressState
from deployments.models.service import ModelService
from policies.catalogue import Catalogue
from tests.deployments.ingress.conftest import LocalPools
from tests.docs.blocks import in_way

ROOT = Path(__file__).parents[4]
GUIDE = (ROOT / "docs" / "admin.md").read_text()
BLOCKS = [block.text for block in in_way("guide")]
TOLD = re.findall(r"^ask # (\d{3})$", GUIDE, re.MULTILINE)
"""The statuses that the guide says."""


async def test_the_guide_is_run(state: IngressState, pools: LocalPools, tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    state.use(Catalogue.parse(config["applications"][0]["deployments"][0]["user_config"]["catalogue"]))
    object.__setattr__(state.settings, "demo", True)
    pools.services["sim-small"] = ModelService("simulated", {"reply_tokens": 2})
    server = uvicorn.Server(
        uvicorn.Config(create_app(state), host="127.0.0.1", port=0, log_level="error", lifespan="off")
    )
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(150):
            while not server.started:
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            script = "set -eu\n" + "\n".join(BLOCKS).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
            shell = await asyncio.create_subprocess_exec(
                *("bash", "-c", script),
                cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            said, complained = (each.decode() for each in await shell.communicate())
    finally:
        server.should_exit = True
        await serving
    assert (shell.returncode, complained) == (0, ""), said
    assert '"error"' not in said, said
    assert TOLD == ["200", "200", "429", "200", "401"]
    assert re.findall(r"^(\d{3})$", said.replace("}", "}\n"), re.MULTILINE) == TOLD
    assert '"action":"revoke"' in said
    assert '"name":"initech"' in said
    exported = (tmp_path / "catalogue.ndjson").read_text()
    assert exported.count("\n") == 2
    assert '"name":"hooli"' in exported


def test_what_operators_may_is_what_the_guide_says() -> None:
    reading = {name for name in OPERATOR_MAY if name.startswith(("get", "list", "explain", "stream"))}
    assert OPERATOR_MAY - reading == {"revokeKey"}
    assert "read everything under `/admin` but the export" in GUIDE


def test_every_code_is_told() -> None:
    source = "".join(path.read_text() for path in (ROOT / "deployments" / "ingress" / "admin").rglob("*.py"))
    codes = set(re.findall(r'(?:HttpError|unavailable)\(\s*(?:\d{3}, )?"([a-z_]+)"', source))
    codes |= set(re.findall(r'\((?:404|409|412), "([a-z_]+)"\)', source))
    assert len(codes) > 15
    missing = sorted(code for code in codes if f"`{code}`" not in GUIDE)
    assert missing == []
