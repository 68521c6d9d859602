"""Text generation with tiny models: as the library itself does it, alone and in company; what is refused."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from deployments.models.engines.protocol import (
    Engine,
    EngineOptionsError,
    RequestRefusedError,
)
from tests.deployments.models.engines.tiny_model import CONTEXT
from tests.deployments.models.engines.transformers.generating import (
    TEXTS,
    TOKENS,
    UNICODE,
    Direct,
    chunks,
    reply,
    started,
    text,
    told,
)


@pytest.fixture
async def engine(tiny_model: Path) -> AsyncIterator[Engine]:
    made = await started(tiny_model)
    yield made
    await made.close()


# As the library does it.


async def test_greedy_replies_are_the_librarys_alone(engine: Engine, direct: Direct) -> None:
    for prompt in TEXTS:
        came = await chunks(engine, prompt, logprobs=0)
        tokens = direct.tokens(prompt)
        said = b"".join(each.utf8 for each in told(came)).decode(errors="replace")
        assert said == direct.tokenizer.decode(tokens), "token by token"
        assert text(came) == direct.reply(prompt)
        assert came[-1].usage is not None
        assert came[-1].usage.output_tokens == len(tokens)
        assert came[-1].usage.input_tokens == len(direct.tokenizer.encode(prompt))


@pytest.mark.parametrize("options", [{}, {"prefill_tokens": 5}, {"max_batch_requests": 3}, {"cache_tokens": 200}])
async def test_greedy_replies_are_the_librarys_in_company(
    tiny_model: Path, direct: Direct, options: dict[str, Any]
) -> None:
    engine = await started(tiny_model, **options)
    expected = [direct.reply(prompt, TOKENS - number) for number, prompt in enumerate(TEXTS)]
    for pause_s in (0.0, 0.003, 0.011):  # joining at different times, leaving at different lengths
        replies = await asyncio.gather(
            *(
                reply(engine, prompt, delay_s=pause_s * number, max_tokens=TOKENS - number)
                for number, prompt in enumerate(TEXTS)
            )
        )
        assert replies == expected
    await engine.close()


SLIDING = {"sliding_window": 8, "head_dim": 16}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("gpt2", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}),
        ("mistral", SLIDING),
        ("gemma3_text", {**SLIDING, "layer_types": ["sliding_attention", "full_attention"]}),  # two kinds of masks
        ("gpt_oss", {**SLIDING, "num_local_experts": 4}),  # experts; masks that are numbers
    ],
)
async def test_architectures(tiny_model: Path, tmp_path: Path, kind: str, fields: dict[str, Any]) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    tokens = Direct(tiny_model).model.config.vocab_size
    same = {"vocab_size": tokens, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT, "eos_token_id": 2}
    shutil.copytree(tiny_model, tmp_path, dirs_exist_ok=True)
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, **{**sizes, **same, **fields, "pad_token_id": 0})
    )
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(tmp_path)
    engine, itself = await started(tmp_path, prefill_tokens=16), Direct(tmp_path)
    replies = await asyncio.gather(*(reply(engine, prompt) for prompt in TEXTS[:5]))
    assert replies == [itself.reply(prompt) for prompt in TEXTS[:5]]
    await engine.close()


async def test_an_architecture_that_cannot_be_batched_says_so(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import BloomConfig, BloomForCausalLM

    shutil.copytree(tiny_model, tmp_path, dirs_exist_ok=True)
    BloomForCausalLM(BloomConfig(vocab_size=400, hidden_size=64, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    with pytest.raises(EngineOptionsError, match=r"bloom does not run as this engine batches it.*kind: vllm"):
        await started(tmp_path)


async def test_log_probabilities_are_the_models(engine: Engine, direct: Direct) -> None:
    import torch

    others = [asyncio.create_task(chunks(engine, prompt)) for prompt in TEXTS[1:]]
    came = await chunks(engine, logprobs=4, temperature=1.5, top_p=0.8, seed=3)
    await asyncio.gather(*others)
    ids = direct.tokenizer.encode(TEXTS[0])
    by_bytes = {direct.tokenizer.convert_ids_to_tokens(token): token for token in range(len(direct.tokenizer))}
    assert len(told(came)) == TOKENS
    vocabulary = cast(Any, engine)._vocabulary
    by_bytes = {vocabulary.token_bytes(token): token for token in reversed(range(len(direct.tokenizer)))}
    for each in told(came):
        with torch.inference_mode():
            expected = direct.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        values, tokens = expected.topk(4)
        assert [top.utf8 for top in each.top] == [vocabulary.token_bytes(token) for token in tokens.tolist()]
        assert [top.logprob for top in each.top] == pytest.approx(values.tolist(), abs=1e-4)
        ids.append(by_bytes[each.utf8])
        assert each.logprob == pytest.approx(expected[ids[-1]].item(), abs=1e-4)


async def test_sampling_draws_what_is_likely(engine: Engine, direct: Direct) -> None:
    import torch

    with torch.inference_mode():
        logits = direct.model(torch.tensor([direct.tokenizer.encode(TEXTS[0])])).logits[0, -1]
    likely = (logits / 2).softmax(-1)
    first = [told(await chunks(engine, max_tokens=1, temperature=2.0, seed=seed, logprobs=0)) for seed in range(400)]
    vocabulary = cast(Any, engine)._vocabulary
    for token in likely.topk(3).indices.tolist():
        share = sum(each[0].utf8 == vocabulary.token_bytes(token) for each in first) / len(first)
        assert share == pytest.approx(likely[token].item(), abs=0.09)  # four standard deviations at most


async def test_a_seed_gives_the_same_reply_in_any_company(tiny_model: Path, engine: Engine) -> None:
    async def seeded(engine: Engine, seed: int, prompt: str = TEXTS[4]) -> str:
        return await reply(engine, prompt, temperature=1.0, top_p=0.9, seed=seed)

    alone = [await seeded(engine, seed) for seed in range(6)]
    assert len(set(alone)) == 6
    assert await asyncio.gather(*(seeded(engine, seed) for seed in range(6))) == alone
    in_pieces = await started(tiny_model, prefill_tokens=4)
    assert await asyncio.gather(*(seeded(in_pieces, seed) for seed in range(6))) == alone
    await in_pieces.close()


async def test_the_models_own_defaults_hold_where_the_request_says_nothing(tiny_model: Path, tmp_path: Path) -> None:
    from transformers import GenerationConfig

    shutil.copytree(tiny_model, tmp_path, dirs_exist_ok=True)
    GenerationConfig(do_sample=True, temperature=1.5, top_k=1, eos_token_id=[2, 1]).save_pretrained(tmp_path)
    engine = await started(tmp_path)
    greedy = await reply(engine)
    assert await reply(engine, temperature=None) == greedy  # top_k of 1 leaves the likeliest
    assert await reply(engine, temperature=2.0) == greedy
    await engine.close()
    GenerationConfig(do_sample=True, temperature=1.5, eos_token_id=2).save_pretrained(tmp_path)
    engine = await started(tmp_path)
    assert len({await reply(engine, temperature=None, seed=seed) for seed in range(3)}) == 3
    await engine.close()


async def test_without_defaults_a_request_that_says_nothing_is_greedy(engine: Engine) -> None:
    greedy = await reply(engine)
    assert await reply(engine, temperature=None) == greedy
    assert await reply(engine, temperature=None, top_p=0.99, seed=1) != greedy


# Characters, ends, stop texts.


async def test_characters_of_several_tokens_come_whole_and_the_end_is_counted(parrot: Path) -> None:
    engine = await started(parrot)
    talk = ({"role": "user", "content": "Hello"},)
    came = await chunks(engine, talk, logprobs=0)
    assert [chunk.text for chunk in came if chunk.text] == list(UNICODE)
    assert came[-1].finish_reason == "stop"
    tokens = Direct(parrot).tokenizer.encode(UNICODE)
    assert len(tokens) > len(UNICODE)
    assert came[-1].usage is not None
    assert came[-1].usage.output_tokens == len(tokens) + 1
    assert b"".join(each.utf8 for each in told(came)) == UNICODE.encode() + b"<|end|>"

    cut = await chunks(engine, talk, max_tokens=5)  # in the middle of the second character
    assert (text(cut), cut[-1].finish_reason) == ("水\ufffd", "length")
    assert (await chunks(engine, talk, max_tokens=len(tokens) + 1))[-1].finish_reason == "stop"

    stopped = await chunks(engine, talk, stop=("🌊é",))
    assert (text(stopped), stopped[-1].finish_reason) == ("水", "stop")
    assert stopped[-1].usage is not None
    assert stopped[-1].usage.output_tokens == len("水🌊é".encode())
    await engine.close()


async def test_a_conversation_is_read_by_the_chat_template(engine: Engine, direct: Direct) -> None:
    talk = ({"role": "system", "content": "You are a sluice."}, {"role": "user", "content": "Hello!"})
    prompt = direct.tokenizer.apply_chat_template(talk, add_generation_prompt=True, tokenize=False)
    assert await reply(engine, talk) == direct.reply(prompt)
    assert await reply(engine, tuple(direct.tokenizer.encode(prompt))) == direct.reply(prompt)


# What is refused.


@pytest.mark.parametrize(
    ("prompt", "fields", "code", "param", "says"),
    [
        ("word " * CONTEXT, {}, "context_length_exceeded", "prompt", rf"context is {CONTEXT} tokens.* has \d\d\d"),
        (({"role": "user", "content": "word " * CONTEXT},), {}, "context_length_exceeded", "messages", str(CONTEXT)),
        ((5, 100_000), {}, "invalid_token", "prompt", "100000"),
        ((5, -1), {}, "invalid_token", "prompt", "-1"),
        ("", {}, "invalid_prompt", "prompt", "no tokens"),
        (({"role": "wizard", "content": "Hi"},), {}, "invalid_messages", "messages", "there is no role wizard"),
        ("Hi", {"extra": {"frequency_penalty": 0.1}}, "unsupported_parameter", "frequency_penalty", "not supported"),
        (
            "Hi",
            {"extra": {"response_format": {"type": "json_object"}}},
            "unsupported_parameter",
            "response_format",
            "response_format",
        ),
    ],
)
async def test_refusals(engine: Engine, prompt: Any, fields: dict[str, Any], code: str, param: str, says: str) -> None:
    with pytest.raises(RequestRefusedError, match=says) as refused:
        await chunks(engine, prompt, **fields)
    assert (refused.value.code, refused.value.param) == (code, param)


async def test_parameters_that_change_nothing_are_let_pass(engine: Engine) -> None:
    neutral = {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "response_format": {"type": "text"}}
    assert await reply(engine, extra=neutral) == await reply(engine)


async def test_the_contexts_end_cuts_the_reply_off(engine: Engine, direct: Direct) -> None:
    prompt = tuple(direct.tokenizer.encode("gate " * CONTEXT)[: CONTEXT - 3])
    came = await chunks(engine, prompt, max_tokens=50)
    assert came[-1].finish_reason == "length"
    assert came[-1].usage is not None
    assert (came[-1].usage.input_tokens, came[-1].usage.output_tokens) == (CONTEXT - 3, 3)


async def test_a_shorter_context_may_be_set(tiny_model: Path) -> None:
    engine = await started(tiny_model, context_tokens=20)
    assert (await chunks(engine, (5, 6, 7), max_tokens=50))[-1].usage.output_tokens == 17  # type: ignore[union-attr]
    with pytest.raises(RequestRefusedError, match="context is 20 tokens"):
        await chunks(engine, tuple(range(5, 25)))
    await engine.close()


async def test_a_model_without_a_chat_template_still_goes_on_from_texts(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").unlink()
    engine = await started(tmp_path)
    assert await reply(engine)
    with pytest.raises(RequestRefusedError, match=r"no chat template.*/v1/completions") as refused:
        await chunks(engine, ({"role": "user", "content": "Hello"},))
    assert refused.value.code == "unsupported_operation"
    await engine.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "/no/such/model"}, "/no/such/model.*give a directory that exists"),
        ({"device": "cuda"}, "sees no GPU: give the deployment num_gpus"),
        ({"chat_template": "{% for"}, "chat template"),
        ({"pooling": "mean"}, "pooling is for task: embed"),
        ({"max_batch_requests": 0}, "max_batch_requests"),
    ],
)
async def test_what_cannot_be_loaded_says_why(tiny_model: Path, options: dict[str, Any], says: str) -> None:
    import torch

    if options.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(EngineOptionsError, match=says):
        await started(tiny_model, **options)


async def test_a_directory_without_weights(tiny_tokenizer: Path, tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(EngineOptionsError, match=f"{tmp_path} cannot be loaded"):
        await started(tmp_path)
