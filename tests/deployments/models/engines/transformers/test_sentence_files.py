"""What sentence-transformers leaves beside a model is honoured, or refused."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deployments.models.engines.protocol import EmbedRequest, EngineOptionsError, RequestRefusedError
from deployments.models.engines.registry import make_engine
from tests.deployments.models.engines.transformers.tiny_encoder import CONTEXT, make_tiny_encoder

TEXTS = ("the water flows", "a", "x" * 30, "a log keeps count")

MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def model_with(
    folder: Path,
    modules: list[dict[str, Any]] = MODULES,
    pooling: dict[str, Any] | None = None,
    transformer: dict[str, Any] | None = None,
    prompts: dict[str, Any] | None = None,
) -> Path:
    """The tiny encoder with files as older releases wrote them."""
    pytest.importorskip("torch", reason="torch is not installed: make engines says why")
    make_tiny_encoder(folder)
    (folder / "1_Pooling").mkdir()
    for name, content in (
        ("modules.json", modules),
        ("1_Pooling/config.json", pooling),
        ("sentence_bert_config.json", transformer),
        ("config_sentence_transformers.json", prompts),
    ):
        if content is not None:
            (folder / name).write_text(json.dumps(content))
    return folder


async def vectors(folder: Path, *texts: str, **options: Any) -> list[list[float]]:
    engine = make_engine("transformers", {"model": str(folder), "task": "embed", **options})
    try:
        await engine.load()
        return [vector.tolist() for vector in (await engine.embed(EmbedRequest(texts))).vectors]
    finally:
        await engine.close()


def worst(first: list[list[float]], second: list[list[float]]) -> float:
    return max(abs(a - b) for own, other in zip(first, second, strict=True) for a, b in zip(own, other, strict=True))


@pytest.mark.parametrize("mode", ["mean", "cls", "lasttoken", "max", "mean_sqrt_len_tokens", "weightedmean"])
async def test_vectors_are_those_of_sentence_transformers(tiny_encoder: Path, tmp_path: Path, mode: Any) -> None:
    library = pytest.importorskip("sentence_transformers", reason="it is not installed: make engines")
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    transformer = Transformer(str(tiny_encoder))
    model = library.SentenceTransformer(modules=[transformer, Pooling(32, pooling_mode=mode), Normalize()])
    model.save(str(tmp_path))
    expected = model.encode(list(TEXTS)).tolist()
    assert worst(await vectors(tmp_path, *TEXTS), expected) < 1e-5
    assert worst(await vectors(tiny_encoder, *TEXTS, pooling=mode), expected) < 1e-5
    if mode not in ("mean", "mean_sqrt_len_tokens"):  # of length one these two are the same
        assert worst(await vectors(tiny_encoder, *TEXTS), expected) > 1e-2


@pytest.mark.parametrize(
    ("pooling", "mode"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_cls_token": False, "pooling_mode_max_tokens": True}, "max"),
        ({}, "mean"),
    ],
)
async def test_the_old_names_of_pooling(tmp_path: Path, tiny_encoder: Path, pooling: Any, mode: str) -> None:
    found = await vectors(model_with(tmp_path, pooling=pooling), *TEXTS)
    assert worst(found, await vectors(tiny_encoder, *TEXTS, pooling=mode)) < 1e-6


async def test_the_options_pooling_goes_before_the_files(tmp_path: Path, tiny_encoder: Path) -> None:
    folder = model_with(tmp_path, pooling={"pooling_mode_cls_token": True})
    found = await vectors(folder, *TEXTS, pooling="max")
    assert worst(found, await vectors(tiny_encoder, *TEXTS, pooling="max")) < 1e-6


@pytest.mark.parametrize(
    ("transformer", "most"), [({"max_seq_length": 8}, 8), ({"max_seq_length": 512}, CONTEXT), (None, CONTEXT)]
)
async def test_the_maximum_length(tmp_path: Path, transformer: Any, most: int) -> None:
    folder = model_with(tmp_path, transformer=transformer)
    assert len(await vectors(folder, "x" * (most - 2))) == 1
    with pytest.raises(RequestRefusedError, match=f"has {most + 1} tokens, and this model reads at most {most}"):
        await vectors(folder, "x" * (most - 1))


DENSE = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
BELOW = {**MODULES[0], "path": "0_Transformer"}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"modules": [*MODULES, DENSE]}, "has the module Dense in '2_Dense' at place 2"),
        ({"modules": [BELOW, MODULES[1]]}, "has the module Transformer in '0_Transformer' at place 0"),
        ({"modules": [MODULES[1], MODULES[0]]}, "has the module Pooling in '1_Pooling' at place 0"),
        ({"pooling": {"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}}, "its pooling is cls and max"),
        ({"pooling": {"pooling_mode": "attention"}}, "its pooling is attention"),
        ({"prompts": {"prompts": {"q": "query: "}, "default_prompt_name": "q"}}, "puts the prompt 'q' before"),
    ],
)
async def test_what_would_give_other_vectors_is_refused(tmp_path: Path, files: dict[str, Any], told: str) -> None:
    with pytest.raises(EngineOptionsError, match=told):
        await vectors(model_with(tmp_path, **files))


async def test_lower_case_is_fine_where_the_tokenizer_does_it(tmp_path: Path) -> None:
    folder = model_with(tmp_path, transformer={"do_lower_case": True})
    assert worst(await vectors(folder, "The WATER"), await vectors(folder, "the water")) == 0
    described = json.loads((folder / "tokenizer.json").read_text())
    described["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(described))
    with pytest.raises(EngineOptionsError, match="do_lower_case"):
        await vectors(folder)


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = model_with(tmp_path)
    (folder / "modules.json").write_text("[")
    with pytest.raises(EngineOptionsError, match=r"modules\.json cannot be read"):
        await vectors(folder)


_OF_A_NAME = """
import asyncio
from deployments.models.engines.protocol import EmbedRequest
from deployments.models.engines.registry import make_engine

async def main():
    engine = make_engine("transformers", {"model": "org/tiny", "task": "embed"})
    await engine.load()
    print(*(await engine.embed(EmbedRequest(("the water flows",)))).vectors[0])
    await engine.close()

asyncio.run(main())
"""


async def test_the_files_of_a_name_on_the_hub_are_honoured(tmp_path: Path, tiny_encoder: Path) -> None:
    """From the library's cache, as where the hub is out of reach: the model was fetched before."""
    cached = tmp_path / "models--org--tiny"
    folder = cached / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(folder.name)
    model_with(folder, pooling={"pooling_mode_cls_token": True})
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", _OF_A_NAME]
    done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2_000:]
    found = [[float(value) for value in done.stdout.split()]]
    assert worst(found, await vectors(tiny_encoder, "the water flows", pooling="cls")) < 1e-5
