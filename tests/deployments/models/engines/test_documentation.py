"""The classes of docs/engines.md, as they stand there."""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.models.engines.protocol import EmbedRequest, Engine, GenerateRequest, InferRequest
from deployments.models.engines.registry import make_engine
from tests.deployments.models.engines.compliance import collected, refused
from tests.docs.blocks import in_way

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "engines.md").read_text()
EXAMPLES: dict[str, str] = {block.text[2:].split(".py")[0]: block.text for block in in_way("engines")}


def body(value: Any) -> InferRequest:
    return InferRequest(json.dumps(value).encode(), "application/json")


async def sentiment(engine: Engine) -> None:
    assert await engine.infer(body({"text": "A lovely sluice"})) == b'{"positive":true}'
    with refused(status=422, said="text is missing"):
        await engine.infer(body({"txt": "…"}))


async def parrot(engine: Engine) -> None:
    chunks = await collected(engine, GenerateRequest(({"role": "user", "content": "Good day to you"},), 3))
    assert "".join(chunk.text for chunk in chunks).strip() == "Good day to"
    assert chunks[-1].finish_reason == "length"


async def letters(engine: Engine) -> None:
    assert [len(vector) for vector in (await engine.embed(EmbedRequest(("a", "bad")))).vectors] == [8, 8]


async def careful(engine: Engine) -> None:
    assert await engine.infer(body({"image": "abc"})) == b'{"size":3}'
    with refused("no_image", status=422, param="image"):
        await engine.infer(body({}))


async def counting(engine: Engine) -> None:
    chunks = await collected(engine, GenerateRequest("go", 4))
    assert "".join(chunk.text for chunk in chunks) == "1, 2, 3, and so on"


CHECKS: dict[str, tuple[str, Callable[[Engine], Awaitable[None]]]] = {
    "sentiment": ("Sentiment", sentiment),
    "parrot": ("Parrot", parrot),
    "letters": ("Letters", letters),
    "careful": ("Careful", careful),
    "counting": ("Counting", counting),
}


def test_every_example_is_run() -> None:
    assert set(EXAMPLES) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
async def test_an_example_does_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"docs_{name}.py").write_text(EXAMPLES[name])
    monkeypatch.syspath_prepend(tmp_path)
    cls, check = CHECKS[name]
    engine = make_engine("python", {"import_path": f"docs_{name}:{cls}"})
    await engine.load()
    await check(engine)
    await engine.close()


async def test_the_suite_runs_as_the_page_says() -> None:
    (command,) = re.findall(r"-m (tests\.deployments\.models\.engines\.compliance) generation \\\n", PAGE)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", command, "generation", "--kind", "simulated"),
        *("--options", '{"first_token_ms": 1, "inter_token_ms": 0.2, "reply_tokens": 200}'),
        *("--lacks", "failures=not by itself", "--lacks", "broken=not by itself", "--lacks", "logprobs=no model"),
        *("--lacks", "too long=no context", "--lacks", "unicode=a token is a word"),
        *("--set", '{"offers": ["embed"]}'),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()
    assert re.search(r"\b2\d passed, 4 lacks, 0 FAILED", out.decode()), out.decode()[-300:]
