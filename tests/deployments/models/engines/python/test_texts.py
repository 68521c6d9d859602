from typing import Any

import pytest

from deployments.models.engines.protocol import GenerateRequest
from deployments.models.engines.python.texts import Reply, input_tokens, signature_of
from deployments.tokenization.counting import words
from tests.deployments.models.engines.compliance import refused

CHAT = ({"role": "system", "content": "Be terse."}, {"role": "user", "content": "Hello there"})


def of(generate: Any) -> Any:
    return signature_of("a:B", generate)


def test_a_class_gets_what_it_takes_and_what_was_sent() -> None:
    request = GenerateRequest(CHAT, 9, temperature=0.5, stop=("x",), extra={"logit_bias": {"5": 1}})
    everything = of(lambda messages, **parameters: None).arguments(request)
    assert everything == {
        "messages": [dict(each) for each in CHAT],
        "max_tokens": 9,
        "temperature": 0.5,
        "stop": ["x"],
        "logit_bias": {"5": 1},
    }
    plain = GenerateRequest("Hello", 9, stop=("x",))
    assert of(lambda prompt: None).arguments(plain) == {"prompt": "Hello"}, "stop and max_tokens hold in any case"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"top_p": 0.5}, "top_p"),
        ({"seed": 3}, "seed"),
        ({"logprobs": 0}, "logprobs"),
        ({"extra": {"response_format": {"type": "json_object"}}}, "response_format"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with refused("unsupported_parameter", param=param):
        of(lambda prompt: None).arguments(GenerateRequest("Hello", 9, **fields))


@pytest.mark.parametrize(
    ("generate", "prompt"),
    [(lambda messages: None, "a text"), (lambda prompt: None, CHAT), (lambda messages, prompt: None, (5, 6))],
)
def test_prompts_of_a_form_that_it_does_not_take_are_refused(generate: Any, prompt: Any) -> None:
    with refused("unsupported_operation"):
        of(generate).arguments(GenerateRequest(prompt, 9))


def test_prompts_are_counted_by_their_texts() -> None:
    assert input_tokens(GenerateRequest(CHAT, 1), lambda text: words([text])) == 4
    assert input_tokens(GenerateRequest("Hello", 1), len) == 5


def replied(pieces: list[str], most: int, count: Any = None, stop: tuple[str, ...] = ()) -> tuple[str, str | None, int]:
    reply, text = Reply(GenerateRequest("x", most, stop=stop), count), ""
    for piece in pieces:
        text += reply.push(piece)
        if reply.over:
            break
    last = reply.last(0)
    assert last.usage is not None
    return text + last.text, last.finish_reason, last.usage.output_tokens


@pytest.mark.parametrize(
    ("pieces", "most", "expected"),
    [
        ([], 3, ("", "stop", 0)),
        (["one two"], 3, ("one two", "stop", 2)),
        (["one two three"], 3, ("one two three", "length", 3)),
        (["one two three four five"], 3, ("one two three", "length", 3)),
        (["o", "ne", " ", "t", "wo", "  three", "!", " four"], 3, ("one two  three!", "length", 3)),
        (["one two", " ", "three ", "", " \n", "four"], 3, ("one two three  \n", "length", 3)),
        (["水 門", "🌊", "\u3000開 く"], 3, ("水 門🌊\u3000開", "length", 3)),
        (["  lead", "ing on", "ly x"], 2, ("  leading only", "length", 2)),
    ],
)
def test_words_are_counted_across_pieces_and_cut(pieces: list[str], most: int, expected: tuple[str, str, int]) -> None:
    assert replied(pieces, most) == expected


def test_a_class_may_count_its_own_tokens() -> None:
    assert replied(["abc", "de", "f"], 9, len) == ("abcdef", "stop", 6)
    assert replied(["abc", "de", "f"], 6, len) == ("abcdef", "length", 6)
    assert replied(["abc", "de", "f"], 4, len) == ("abc", "length", 3)  # a piece is never cut in the middle


def test_a_stop_text_before_the_cut_is_what_ends_it() -> None:
    assert replied(["one STO", "P two three four"], 2, stop=("STOP",)) == ("one ", "stop", 2)
    assert replied(["one two three STOP"], 2, stop=("STOP",)) == ("one two", "length", 2)
    assert replied(["one S"], 5, stop=("STOP",)) == ("one S", "stop", 2)


def test_a_long_piece_is_cut_without_delay() -> None:
    assert replied(["word " * 300_000], 10) == (("word " * 10).rstrip(), "length", 10)
