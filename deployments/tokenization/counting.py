"""How many tokens a prompt has, as far as the ingress can know: exactly by the model's tokenizer, or at most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Message = Mapping[str, str]

TEMPLATE_TOKENS = 32
"""What an unknown chat template may add to a conversation, in tokens: its beginning and a system prompt of its own."""

MARKS = 4
"""What an unknown tokenizer may add to a text: marks of its beginning and its end. Tokens."""

TOKENS_PER_MESSAGE = 8
"""What an unknown chat template may add to each message: its role, and the marks around it."""


@dataclass(frozen=True, slots=True)
class Counting:
    """How the tokens of a model's prompts are counted."""

    by: Literal["bytes", "words", "tokenizer"] = "bytes"
    """`bytes`: no tokenizer is known, and no byte makes more than one token. `words`: for simulated engines.
    `tokenizer`: the model's own."""
    source: str = ""
    """Of a tokenizer: its directory, or its name on the Hugging Face hub."""
    revision: str | None = None
    chat_template: str | None = None
    """In the place of the tokenizer's own."""


def words(texts: Sequence[str]) -> int:
    """How many words stand in these texts, the first and last of two neighbours apart."""
    return sum(len(text.split()) for text in texts)


def most_of_text(text: str) -> int:
    """A bound for a text without a tokenizer: byte-level vocabularies have no token shorter than a byte."""
    return MARKS + len(text.encode())


def most_of_chat(messages: Sequence[Message]) -> int:
    """A bound for a conversation without a tokenizer."""
    return TEMPLATE_TOKENS + sum(len(message["content"].encode()) + TOKENS_PER_MESSAGE for message in messages)
