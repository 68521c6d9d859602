import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deployments.tokenization.tokenizer import ChatTemplateError, Tokenizer, TokenizerError

TALK = [{"role": "system", "content": "You are a sluice."}, {"role": "user", "content": "Hello!"}]


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer: Path) -> Tokenizer:
    return Tokenizer.load(str(tiny_tokenizer))


@pytest.mark.parametrize("text", ["", "the water flows", "水闸 🌊 é", "a\n\n  b\t", "<|end|>"])
def test_a_text_is_the_librarys_tokens(tokenizer: Tokenizer, tiny_tokenizer: Path, text: str) -> None:
    from transformers import AutoTokenizer

    direct = AutoTokenizer.from_pretrained(tiny_tokenizer)
    assert tokenizer.encode(text) == direct.encode(text)
    assert direct.decode(tokenizer.encode(text)) == text


def test_a_conversation_is_the_librarys_tokens(tokenizer: Tokenizer, tiny_tokenizer: Path) -> None:
    from transformers import AutoTokenizer

    direct = AutoTokenizer.from_pretrained(tiny_tokenizer)
    expected = direct.apply_chat_template(TALK, add_generation_prompt=True, return_dict=False)
    assert tokenizer.encode_chat(TALK) == expected
    assert direct.decode(expected).endswith("<|end|>\n<|start|>assistant\n")


def test_a_template_that_raises_says_why(tokenizer: Tokenizer) -> None:
    with pytest.raises(ChatTemplateError, match="there is no role wizard"):
        tokenizer.encode_chat([{"role": "wizard", "content": "Hello"}])


def test_another_template_takes_the_place_of_its_own(tiny_tokenizer: Path) -> None:
    template = "{% for message in messages %}{{ message['content'] }};{% endfor %}"
    tokenizer = Tokenizer.load(str(tiny_tokenizer), chat_template=template)
    assert tokenizer.encode_chat(TALK) == tokenizer.encode("You are a sluice.;Hello!;")


def test_a_template_that_cannot_be_read_is_refused_when_it_is_loaded(tiny_tokenizer: Path) -> None:
    with pytest.raises(TokenizerError, match="line 2"):
        Tokenizer.load(str(tiny_tokenizer), chat_template="{% for m in messages %}\n{{ m['content' }}{% endfor %}")


def test_without_a_template_there_is_no_chat(tiny_tokenizer: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tiny_tokenizer / name).read_bytes())
    tokenizer = Tokenizer.load(str(tmp_path))
    assert not tokenizer.has_chat_template
    assert tokenizer.encode("Hello")
    with pytest.raises(ChatTemplateError, match="no chat template"):
        tokenizer.encode_chat(TALK)


def test_a_directory_without_a_tokenizer(tiny_tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=rf"{tmp_path}.*must hold the tokenizer's files"):
        Tokenizer.load(str(tmp_path))


def test_a_broken_file(tiny_tokenizer: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": 3}))
    with pytest.raises(TokenizerError, match=r"must hold"):
        Tokenizer.load(str(tmp_path))


def test_a_directory_that_is_not_there(tiny_tokenizer: Path) -> None:
    with pytest.raises(TokenizerError, match=r"'/no/such/model': give a directory that exists"):
        Tokenizer.load("/no/such/model")


def test_many_threads(tokenizer: Tokenizer) -> None:
    texts = [f"the water flows {number} times " * (number % 7 + 1) for number in range(400)]
    expected = [tokenizer.encode(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tokenizer.encode, texts)) == expected


def test_it_is_busy_while_a_thread_encodes() -> None:
    seen: list[bool] = []

    class Watched:
        def encode(self, text: str, **_: object) -> list[int]:
            seen.append(watched.busy)
            return [len(text)]

    watched = Tokenizer(Watched())
    assert watched.encode("water") == [5]
    assert seen == [True]
    assert not watched.busy
