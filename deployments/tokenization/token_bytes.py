"""What a token stands for, in bytes: vocabularies write bytes that are no characters in ways of their own."""

import json
import re
from collections.abc import Callable
from typing import Any

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
"""How SentencePiece writes a byte."""


def token_bytes(tokenizer: Any) -> Callable[[int], bytes]:
    """For a tokenizer of the transformers library."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return lambda token: str(tokenizer.decode([token])).encode()
    decoder = json.dumps(json.loads(backend.to_str())["decoder"])

    if '"ByteLevel"' in decoder:
        to_byte = _byte_level()

        def written(token: int) -> bytes:
            piece = backend.id_to_token(token) or ""
            try:
                return bytes(to_byte[character] for character in piece)
            except KeyError:  # a special token, written as it is
                return str(piece).encode()

        return written

    def pieced(token: int) -> bytes:
        piece = backend.id_to_token(token) or ""
        byte = _BYTE.fullmatch(piece)
        return bytes.fromhex(byte[1]) if byte else str(piece).replace("\u2581", " ").encode()

    return pieced


def skipped(tokenizer: Any) -> frozenset[int]:
    """The tokens that decoding leaves out where it is asked to skip special ones."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return frozenset(token for token, entry in added.items() if entry.special)


def _byte_level() -> dict[str, int]:
    """GPT-2's alphabet: printable bytes are themselves, the others follow from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}
