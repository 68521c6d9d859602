"""Text from tokens as they come: whole characters only."""

from collections.abc import Callable, Sequence

CONTEXT_TOKENS = 6
"""How many tokens before a piece it is decoded with: what a token says may depend on its neighbours (a space before a
word), never on those far away."""


class TextStream:
    """The text of a reply, token by token. The pieces together are what decoding all tokens at once would give."""

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        token_bytes: Callable[[int], bytes],
        context: Sequence[int] = (),
    ) -> None:
        """`token_bytes`: what a token adds to the text; nothing, if decoding leaves it out. `context`: the tokens
        before the first one, where the reply goes on from a text."""
        self._decode, self._token_bytes = decode, token_bytes
        self._context = list(context[-CONTEXT_TOKENS:])
        self._held: list[int] = []
        """Whose last bytes begin a character."""

    def push(self, token: int) -> str:
        """The text that this token completes; empty while a character is not whole."""
        self._held.append(token)
        return self._take(len(self._held) - self._incomplete())

    def flush(self) -> str:
        """The rest, when no token follows: half a character is written as the replacement character."""
        return self._take(len(self._held))

    def _take(self, count: int) -> str:
        if count == 0:
            return ""
        ready, self._held = self._held[:count], self._held[count:]
        before, after = self._decode(self._context), self._decode(self._context + ready)
        self._context = (self._context + ready)[-CONTEXT_TOKENS:]
        return after[len(before) :] if after.startswith(before) else self._decode(ready)

    def _incomplete(self) -> int:
        """How many of the held tokens, counted from the end, have a part of a character that is not whole yet."""
        lacking = _begun(b"".join(map(self._token_bytes, self._held)))
        tokens = 0
        while lacking > 0:
            tokens += 1
            lacking -= len(self._token_bytes(self._held[-tokens]))
        return tokens


def _begun(text: bytes) -> int:
    """How many bytes at the end begin a character of UTF-8 without completing it."""
    for back in range(1, min(3, len(text)) + 1):
        byte = text[-back]
        if byte & 0b1100_0000 == 0b1000_0000:
            continue
        size = 2 if 0xC2 <= byte <= 0xDF else 3 if 0xE0 <= byte <= 0xEF else 4 if 0xF0 <= byte <= 0xF4 else 1
        return back if size > back else 0
    return 0
