"""A model small enough to be made by a test, in about two seconds and without a download: random weights, a tokenizer
trained on a few lines, a chat template. `python -m tests.deployments.models.engines.tiny_model FOLDER` makes one."""

import itertools
import sys
from pathlib import Path

LINES = (
    "the water flows through the gate and the log keeps count while each window slides",
    "a sluice is a water channel with a gate at its head",
    "who goes next when all the slots are taken, and who has to wait for how long",
    "You are a helpful assistant. What is a sluice? Hello! Count to ten, please.",
    "one two three four five six seven eight nine ten 0123456789 {}[]()<>|=+-*/",
    "user assistant system",
)

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- if message['role'] not in ('system', 'user', 'assistant') -%}
{{ raise_exception('there is no role ' + message['role']) }}
{%- endif -%}
<|start|>{{ message['role'] }}
{{ message['content'] }}<|end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|start|>assistant
{% endif -%}"""

VOCABULARY = 400
CONTEXT = 256
"""How many tokens the model reads and writes, at most."""


def make_tokenizer(folder: Path) -> int:
    """Writes the tokenizer; returns the number of its tokens. No line above has an emoji or a CJK character, so each of
    those is as many tokens as it has bytes."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|pad|>", "<|start|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|start|>"],
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    return len(fast)


def make_tiny_model(folder: Path, *, hidden: int = 64, layers: int = 2, heads: int = 4, context: int = CONTEXT) -> Path:
    """Writes a Llama of random weights, the same every time, and its tokenizer into `folder`; returns it."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    tokens = make_tokenizer(folder)
    config = LlamaConfig(
        vocab_size=tokens,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=context,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
        # Weights of the usual size make all tokens about equally likely; these make a model that is sure of itself.
        initializer_range=0.2 * (64 / hidden) ** 0.5,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=2, pad_token_id=0)
    model.save_pretrained(folder)
    return folder


def make_endless(folder: Path, *, hidden: int, layers: int, context: int) -> Path:
    """Writes a model whose greedy replies go on until they are cut off: its special tokens, the end among them, are
    never the likeliest."""
    import torch
    from transformers import AutoModelForCausalLM

    make_tiny_model(folder, hidden=hidden, layers=layers, context=context)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[:3] = 0.0
    model.save_pretrained(folder)
    return folder


def make_parrot(folder: Path, says: str) -> Path:
    """Writes a model that answers every conversation with `says`, whose tokens must all be different: each token has
    its successor, and the last one's is the end."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    make_tiny_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chain = [*tokenizer.encode("\n"), *tokenizer.encode(says), tokenizer.eos_token_id]
    assert len(set(chain)) == len(chain), "the tokens must all be different"
    make_tiny_model(folder, hidden=4 * (-(-len(tokenizer) // 4)))
    model = AutoModelForCausalLM.from_pretrained(folder)
    for name, parameter in model.named_parameters():
        if "o_proj" in name or "down_proj" in name:  # layers that add nothing
            torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(torch.eye(*model.get_input_embeddings().weight.shape))
        model.lm_head.weight.zero_()
        for token, successor in itertools.pairwise(chain):
            model.lm_head.weight[successor, token] = 1
    model.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    print(make_tiny_model(Path(sys.argv[1])))
