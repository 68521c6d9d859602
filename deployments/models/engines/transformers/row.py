"""One request in the batch: what it has read, what it has said, and when it ends."""

from collections.abc import Callable
from typing import Any

from deployments.models.engines.protocol import Chunk, FinishReason, TokenLogprob, Usage
from deployments.models.engines.stopping import StopTexts
from deployments.models.engines.transformers.replies import Reply
from deployments.models.engines.transformers.sampling import Chosen, Sampling
from deployments.tokenization.detokenizing import TextStream
from deployments.tokenization.token_bytes import skipped, token_bytes


class Vocabulary:
    """What tokens stand for."""

    def __init__(self, tokenizer: Any, ends: frozenset[int]) -> None:
        """`tokenizer`: of transformers. `ends`: tokens that end a reply."""
        self.ends = ends
        self.token_bytes: Callable[[int], bytes] = token_bytes(tokenizer)
        left_out = skipped(tokenizer)
        self.text_bytes: Callable[[int], bytes] = lambda token: b"" if token in left_out else self.token_bytes(token)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        inner = tokenizer if backend is None else backend
        self.decode: Callable[[list[int]], str] = lambda tokens: str(inner.decode(tokens, skip_special_tokens=True))

    def logprob(self, token: int, logprob: float, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
        """As the protocol has it."""
        utf8 = self.token_bytes(token)
        return TokenLogprob(utf8.decode(errors="replace"), logprob, utf8, top)


class Row:
    """See the module. Made on the event loop, then the engine's thread's own."""

    def __init__(
        self,
        reply: Reply,
        prompt: list[int],
        max_tokens: int,
        sampling: Sampling,
        stops: tuple[str, ...],
        vocabulary: Vocabulary,
        *,
        continues: bool,
    ) -> None:
        """`continues`: the prompt is a text, of which the reply is the continuation."""
        self.reply, self.prompt, self.sampling = reply, prompt, sampling
        self.max_tokens = max_tokens
        self.columns = 0
        """How many tokens it has in the cache: first its prompt's, then all that it said but the last one."""
        self.said = 0
        """How many tokens were generated."""
        self.last_token = -1
        self._vocabulary = vocabulary
        self._text = TextStream(vocabulary.decode, vocabulary.text_bytes, prompt if continues else ())
        self._stops = StopTexts(stops)

    @property
    def most_columns(self) -> int:
        """How many tokens it may come to have in the cache."""
        return len(self.prompt) + self.max_tokens

    def say(self, chosen: Chosen) -> Chunk | None:
        """Takes the next token in; returns what there is to tell, if anything."""
        self.said, self.last_token = self.said + 1, chosen.token
        reason: FinishReason | None = None
        if chosen.token in self._vocabulary.ends:
            text, reason = self._stops.push(self._text.flush()), "stop"
        else:
            text = self._stops.push(self._text.push(chosen.token))
            if self.said == self.max_tokens and not self._stops.stopped:
                text += self._stops.push(self._text.flush())
                reason = "length"
        if self._stops.stopped:
            reason = "stop"
        if reason is not None:
            text += self._stops.flush()
        logprobs = self._logprobs(chosen)
        if not (text or logprobs or reason):
            return None
        usage = None if reason is None else Usage(len(self.prompt), self.said)
        return Chunk(text, reason, usage, logprobs)

    def _logprobs(self, chosen: Chosen) -> tuple[TokenLogprob, ...]:
        if chosen.logprob is None:
            return ()
        top = tuple(self._vocabulary.logprob(token, logprob) for token, logprob in chosen.top)
        return (self._vocabulary.logprob(chosen.token, chosen.logprob, top),)
