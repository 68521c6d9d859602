"""Models of several families: how long their inputs may be, and that their vectors are the library's own."""

from pathlib import Path
from typing import Any

import pytest

from deployments.models.engines.protocol import EmbedRequest, EngineOptionsError, RequestRefusedError
from deployments.models.engines.registry import check_options, make_engine
from tests.deployments.models.engines.transformers.tiny_encoder import CONTEXT, make_tiny_encoder


@pytest.mark.parametrize(
    ("family", "most", "changes"),
    [
        ("bert", CONTEXT, {}),
        ("roberta", CONTEXT - 1, {}),  # its positions begin behind the padding's, which is 0 here
        ("distilbert", CONTEXT, {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}),
        ("llama", CONTEXT, {}),  # a model that generates: each token has seen those before it
    ],
)
async def test_families(tmp_path: Path, family: str, most: int, changes: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: make engines says why")
    from transformers import AutoModel, AutoTokenizer

    folder = make_tiny_encoder(tmp_path, family, **changes)
    texts = ("the water", "x" * (most - 2), "a gate")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    engine = make_engine("transformers", {"model": str(folder), "task": "embed", "embed_batch_tokens": 4 * CONTEXT})
    await engine.load()
    answer = await engine.embed(EmbedRequest(texts))
    for text, vector in zip(texts, answer.vectors, strict=True):
        inputs = {"input_ids": torch.tensor([tokenizer.encode(text)])}
        with torch.inference_mode():
            mean = model(**inputs).last_hidden_state[0].mean(dim=0)
        assert torch.allclose(torch.tensor(vector), mean / mean.norm(), atol=1e-5)
    with pytest.raises(RequestRefusedError, match=f"at most {most}"):
        await engine.embed(EmbedRequest(("x" * (most - 1),)))
    await engine.close()


async def test_a_gpu_that_is_not_there(tiny_encoder: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    engine = make_engine("transformers", {"model": str(tiny_encoder), "task": "embed", "device": "cuda"})
    with pytest.raises(EngineOptionsError, match="sees no GPU: give the deployment num_gpus"):
        await engine.load()
    await engine.close()


@pytest.mark.parametrize(
    ("wanted", "device", "own", "chosen"),
    [
        ("auto", "cpu", "bfloat16", "float32"),
        ("auto", "cuda", "float32", "float16"),
        ("auto", "cuda", "bfloat16", "bfloat16"),
        ("auto", "cuda", None, "float16"),
        ("float32", "cuda", "bfloat16", "float32"),
        ("bfloat16", "cpu", "float32", "bfloat16"),
    ],
)
def test_the_precision(wanted: str, device: str, own: str | None, chosen: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: make engines says why")
    from deployments.models.engines.transformers.loading import chosen_dtype

    assert chosen_dtype(wanted, device, own and getattr(torch, own)) == getattr(torch, chosen)


async def test_half_precision_is_near(tiny_encoder: Path) -> None:
    found = {}
    for dtype in ("float32", "bfloat16"):
        engine = make_engine("transformers", {"model": str(tiny_encoder), "task": "embed", "dtype": dtype})
        await engine.load()
        (found[dtype],) = (await engine.embed(EmbedRequest(("the water flows",)))).vectors
        await engine.close()
    assert found["bfloat16"].typecode == "f"
    assert found["bfloat16"] != found["float32"]
    assert sum(a * b for a, b in zip(found["bfloat16"], found["float32"], strict=True)) > 0.99


async def test_an_encoder_with_a_decoder_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: make engines says why")
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_start_token_id": 2}
    make_tiny_encoder(tmp_path, "bart", **sizes, **heads)
    engine = make_engine("transformers", {"model": str(tmp_path), "task": "embed"})
    with pytest.raises(EngineOptionsError, match="an encoder with a decoder"):
        await engine.load()
    await engine.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"pooling": "sum"}, "pooling"),
        ({"embed_batch_tokens": 0}, "embed_batch_tokens"),
        ({"model": "package:../x"}, "names no folder of a Python package"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], told: str) -> None:
    with pytest.raises(EngineOptionsError, match=told):
        check_options("transformers", {"model": "some/model", "task": "embed", **options})


@pytest.mark.parametrize("option", [{"pooling": "mean"}, {"embed_batch_tokens": 5}])
def test_options_of_embeddings_are_no_options_of_generation(option: dict[str, Any]) -> None:
    with pytest.raises(EngineOptionsError, match=f"{next(iter(option))} is for task: embed"):
        check_options("transformers", {"model": "some/model", **option})
