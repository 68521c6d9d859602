"""A model's own tokenizer: the ingress counts prompts with it, and the engine reads them with it, so both agree.

The library is imported when a tokenizer is loaded. With torch installed it imports that too (2.4 s and 250 MB in all
instead of 1.4 s and 75 MB): which class of tokenizer a model wants is known only to its `AutoTokenizer`, and that asks
for the model's configuration. Whoever loads one does it in a thread.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from deployments.tokenization.counting import Message
from deployments.tokenization.source import ModelSourceError, located


class TokenizerError(Exception):
    """There is no tokenizer where one should be; says where, and what to do."""


class ChatTemplateError(Exception):
    """The chat template takes no such conversation, or there is none. The message is for who sent it."""


class Tokenizer:
    """Texts and conversations to tokens. May be used from several threads."""

    def __init__(self, inner: Any) -> None:
        """`inner`: a tokenizer of transformers. `load` makes one."""
        self.inner = inner
        # Encoding sets the inner tokenizer's truncation and padding first: two threads would get in each other's way.
        self._lock = threading.Lock()

    @classmethod
    def load(cls, source: str, revision: str | None = None, chat_template: str | None = None) -> "Tokenizer":
        """From where `…tokenization.source` says; blocks. Raises `TokenizerError`."""
        try:
            source = located(source)
        except ModelSourceError as error:
            raise TokenizerError(str(error)) from error
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise TokenizerError(
                f"the tokenizer of {source!r} needs the library transformers: install sluice[transformers]"
            ) from error
        try:
            # What a model brings as code of its own is not run.
            inner = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
        except Exception as error:  # the library raises Exception itself, of a file it cannot read
            raise TokenizerError(_not_loaded(source, revision, error)) from error
        if chat_template is not None:
            inner.chat_template = chat_template
        tokenizer = cls(inner)
        tokenizer._check_template(source)
        return tokenizer

    @property
    def busy(self) -> bool:
        """Some thread encodes: another would wait for it."""
        return self._lock.locked()

    @property
    def has_chat_template(self) -> bool:
        """Whether conversations can be encoded."""
        template = self.inner.chat_template
        return template is not None and (not isinstance(template, dict) or "default" in template)

    def encode(self, text: str) -> list[int]:
        """The text's tokens, with what the tokenizer puts around every text."""
        with self._lock:
            return cast("list[int]", self.inner.encode(text, verbose=False))

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation, up to where the reply begins. Raises `ChatTemplateError`."""
        if not self.has_chat_template:
            raise ChatTemplateError("this model has no chat template: it goes on from texts (/v1/completions)")
        conversation = [dict(message) for message in messages]
        try:
            with self._lock:
                text = self.inner.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
                # As the library does it: the template writes the special tokens itself.
                return cast("list[int]", self.inner.encode(text, add_special_tokens=False, verbose=False))
        except Exception as error:  # templates are programs of others: anything may come of them
            raise ChatTemplateError(f"the model's chat template takes no such conversation: {error}") from error

    def _check_template(self, source: str) -> None:
        """A template that cannot be read is found when it is loaded, not by the first request."""
        if not self.has_chat_template:
            return
        from jinja2 import TemplateError, TemplateSyntaxError

        try:
            self.inner.apply_chat_template([{"role": "user", "content": "?"}], tokenize=False)
        except TemplateSyntaxError as error:
            raise TokenizerError(f"the chat template of {source!r}, line {error.lineno}: {error.message}") from error
        except TemplateError:
            pass  # this one wants other conversations


def _not_loaded(source: str, revision: str | None, error: Exception) -> str:
    what = repr(source) if revision is None else f"{source!r} at revision {revision!r}"
    if Path(source).is_dir():
        fix = "the directory must hold the tokenizer's files (tokenizer.json, tokenizer_config.json)"
    else:
        fix = "give a directory that exists, or a name on the Hugging Face hub that can be reached from here"
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"no tokenizer can be loaded from {what}: {fix}. ({reason})"
