"""Encoders of random weights, made by a test in a fraction of a second, without a download."""

from pathlib import Path
from typing import Any

WORDS = ("the", "water", "flows", "through", "gate", "a", "log", "keeps", "count")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
CONTEXT = 48
"""How many positions the model has."""


def make_tiny_encoder(folder: Path, family: str = "bert", **changes: Any) -> Path:
    """Writes a model and its tokenizer into `folder`; returns it. Words beyond `WORDS` are read letter by letter."""
    import torch
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordPiece
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocabulary = dict.fromkeys([*SPECIAL, *WORDS, *letters, *(f"##{each}" for each in letters)])
    ids = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    settings: dict[str, Any] = {
        "vocab_size": len(ids),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,  # inputs differ: vectors of weights of the usual size are all but the same
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        **changes,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = AutoModel.from_config(AutoConfig.for_model(family, **settings))
    model.save_pretrained(folder)
    return folder
