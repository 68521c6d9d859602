"""Text as tokens come: the pieces together are the library's text, and no piece has half a character."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployments.tokenization.detokenizing import CONTEXT_TOKENS, TextStream
from deployments.tokenization.token_bytes import skipped, token_bytes


def bytewise(tokens: list[int]) -> str:
    """A vocabulary of 256 tokens: the bytes."""
    return bytes(tokens).decode(errors="replace")


def pieces(tokens: list[int]) -> list[str]:
    stream = TextStream(bytewise, lambda token: bytes([token]))
    return [*map(stream.push, tokens), stream.flush()]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (list(b"ab"), ["a", "b", ""]),
        (list("é".encode()), ["", "é", ""]),
        (list("a🌊b".encode()), ["a", "", "", "", "🌊", "b", ""]),
        (list("🌊".encode()[:3]), ["", "", "", "\ufffd"]),  # it ended in the middle
        ([0x80, 0x61], ["\ufffd", "a", ""]),  # no beginning: is nothing to wait for
        ([0xC3, 0x61], ["", "\ufffda", ""]),
        ([0xF8, 0x61], ["\ufffd", "a", ""]),
        ([], [""]),
    ],
)
def test_pieces(tokens: list[int], expected: list[str]) -> None:
    assert pieces(tokens) == expected


@given(st.text(max_size=30))
def test_no_piece_has_half_a_character(text: str) -> None:
    came = pieces(list(text.encode()))
    assert "".join(came) == text
    assert [piece for piece in came if piece] == list(text), "each character as soon as it is whole"


@given(st.binary(max_size=40))
def test_any_bytes_are_what_decoding_them_at_once_gives(tokens: bytes) -> None:
    assert "".join(pieces(list(tokens))) == tokens.decode(errors="replace")


@example([129, 0, 97])  # half a character, a token that is left out, the other half
@given(st.lists(st.integers(0, 300), max_size=40))
def test_a_real_vocabulary(tiny: Any, tokens: list[int]) -> None:
    def decode(some: list[int]) -> str:
        return str(tiny.decode(some, skip_special_tokens=True))

    left_out, own = skipped(tiny), token_bytes(tiny)
    stream = TextStream(decode, lambda token: b"" if token in left_out else own(token))
    assert "".join([*map(stream.push, tokens), stream.flush()]) == decode(tokens)


@pytest.fixture(scope="module")
def tiny(tiny_tokenizer: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_tokenizer)


def sentencepiece() -> Any:
    """As of Llama 2: words begin with a mark for the space, bytes have tokens of their own."""
    from tokenizers import Tokenizer, decoders
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁the", "▁gate", "s", "▁"]
    tokenizer = Tokenizer(BPE({piece: at for at, piece in enumerate(vocabulary)}, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")


def test_marks_for_spaces_and_bytes() -> None:
    pytest.importorskip("transformers", reason="transformers is not installed: make engines")
    tokenizer = sentencepiece()

    def decode(some: list[int]) -> str:
        return str(tokenizer.decode(some, skip_special_tokens=True))

    the, gate, plural = (tokenizer.convert_tokens_to_ids(each) for each in ("▁the", "▁gate", "s"))
    wave = [2 + byte for byte in "🌊".encode()]
    tokens = [the, gate, plural, *wave, the, 1]
    stream = TextStream(decode, token_bytes(tokenizer))
    assert [stream.push(token) for token in tokens] == ["the", " gate", "s", "", "", "", "🌊", " the", ""]
    assert decode(tokens) == "the gates🌊 the"
    going_on = TextStream(decode, token_bytes(tokenizer), context=[gate] * (CONTEXT_TOKENS + 2))
    assert going_on.push(the) == " the", "a reply that goes on from a text begins with its space"
    assert [token_bytes(tokenizer)(each) for each in (the, wave[0], 1)] == [b" the", b"\xf0", b"</s>"]
