"""How many tokens a prompt has, before it is admitted: by the model's own tokenizer, or at most until that is loaded.

Tokenizers are loaded in a thread, one for each model that has one, when the ingress starts. Where one cannot be had
here (its library is not installed, its files are elsewhere), the bound stays in use: more is reserved than will be
used, and the settlement by the engine's own count puts it right.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from deployments.tokenization.counting import Counting, Message, most_of_chat, most_of_text, words

_log = logging.getLogger(__name__)

Prompt = Sequence[Message] | str | Sequence[int]
"""A conversation, a text, or a text's tokens."""

AT_ONCE = 2_000
"""Characters that are tokenized on the event loop: some 0.2 ms. More go to a thread."""

EACH = 100
"""Characters that a text or a message counts for beyond its own: many short ones take their time, too."""


class Tokenizes(Protocol):
    """What is asked of a tokenizer."""

    @property
    def busy(self) -> bool:
        """A thread encodes with it: who wants it now would wait for that."""

    def encode(self, text: str) -> Sequence[int]:
        """The tokens of a text."""

    def encode_chat(self, messages: Sequence[Message]) -> Sequence[int]:
        """The tokens of a conversation, its template's own included."""


def load_tokenizer(counting: Counting) -> Tokenizes:
    """Loads it, in seconds. Raises `ImportError` where its library is missing, `TokenizerError` where its files are."""
    from deployments.tokenization.tokenizer import Tokenizer  # imports a large library

    return cast(Tokenizes, Tokenizer.load(counting.source, counting.revision, counting.chat_template))


class PromptCounters:
    """One for each pool."""

    def __init__(
        self, countings: Mapping[str, Counting], load: Callable[[Counting], Tokenizes] = load_tokenizer
    ) -> None:
        self._countings, self._load = countings, load
        self._tokenizers: dict[str, Tokenizes] = {}
        self._loading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to load what is to be loaded; again does nothing."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load_all())

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    async def of(self, pool: str, prompts: Sequence[Prompt]) -> int:
        """Tokens of all these prompts together."""
        counting = self._countings.get(pool)
        if counting is not None and counting.by == "words":
            return sum(_words(prompt) for prompt in prompts)
        tokenizer = self._tokenizers.get(pool)
        if tokenizer is None:
            return sum(map(_most, prompts))
        if not tokenizer.busy and sum(map(_characters, prompts)) <= AT_ONCE:
            return sum(_exactly(tokenizer, prompt) for prompt in prompts)
        return await asyncio.to_thread(lambda: sum(_exactly(tokenizer, prompt) for prompt in prompts))

    async def _load_all(self) -> None:
        for pool, counting in self._countings.items():
            if counting.by != "tokenizer":
                continue
            try:
                self._tokenizers[pool] = await asyncio.to_thread(self._load, counting)
            except Exception as error:  # noqa: BLE001 - whatever a tokenizer's files hold, requests go on without it
                _log.warning(
                    "the prompts of %s are not counted before they are admitted, only bounded by their bytes: %s",
                    *(pool, error),
                )


def _exactly(tokenizer: Tokenizes, prompt: Prompt) -> int:
    if isinstance(prompt, str):
        return len(tokenizer.encode(prompt))
    if not _is_chat(prompt):
        return len(prompt)
    try:
        return len(tokenizer.encode_chat(cast("Sequence[Message]", prompt)))
    except Exception:  # noqa: BLE001 - templates are programs; what they make of a conversation is the engine's to judge
        return _most(prompt)


def _most(prompt: Prompt) -> int:
    if isinstance(prompt, str):
        return most_of_text(prompt)
    return most_of_chat(cast("Sequence[Message]", prompt)) if _is_chat(prompt) else len(prompt)


def _words(prompt: Prompt) -> int:
    if isinstance(prompt, str):
        return words([prompt])
    return words([m["content"] for m in cast("Sequence[Message]", prompt)]) if _is_chat(prompt) else len(prompt)


def _characters(prompt: Prompt) -> int:
    if isinstance(prompt, str):
        return EACH + len(prompt)
    return sum(EACH + len(m["content"]) for m in cast("Sequence[Message]", prompt)) if _is_chat(prompt) else 0


def _is_chat(prompt: Prompt) -> bool:
    return not isinstance(prompt, str) and len(prompt) > 0 and isinstance(prompt[0], Mapping)
