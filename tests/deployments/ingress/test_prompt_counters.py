"""Prompts are counted by the model's tokenizer once it is there, and bounded before."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from deployments.ingress import prompt_counters
from deployments.ingress.prompt_counters import PromptCounters
from deployments.ingress.state import IngressState
from deployments.tokenization.counting import Counting
from tests.deployments.ingress.conftest import use
from tests.deployments.ingress.test_inference import ask, policy

BOUND = 10
CHAT = [{"role": "user", "content": "äöü"}]


class Letters:
    """A token for every letter, and three for a conversation."""

    busy = False

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def encode(self, text: str) -> Sequence[int]:
        self.threads.add(threading.get_ident())
        return [ord(letter) for letter in text]

    def encode_chat(self, messages: Sequence[Any]) -> Sequence[int]:
        if messages[0]["role"] == "tool":
            raise ValueError("this template knows no tools")
        return [0, 0, 0, *(ord(letter) for message in messages for letter in message["content"])]


async def loaded(counters: PromptCounters) -> PromptCounters:
    counters.start()
    assert counters._loading is not None
    await counters._loading
    return counters


async def test_by_the_tokenizer() -> None:
    counters = await loaded(PromptCounters({"m": Counting("tokenizer", "dir")}, lambda _: Letters()))
    assert await counters.of("m", [CHAT]) == 6
    assert await counters.of("m", ["abc", "de"]) == 5
    assert await counters.of("m", [[1, 2, 3]]) == 3
    assert await counters.of("m", []) == 0


async def test_a_long_text_is_counted_off_the_event_loop() -> None:
    letters = Letters()
    counters = await loaded(PromptCounters({"m": Counting("tokenizer")}, lambda _: letters))
    await counters.of("m", ["short"])
    assert letters.threads == {threading.get_ident()}
    assert await counters.of("m", ["a" * 100_000]) == 100_000
    assert len(letters.threads) == 2


async def test_many_short_texts_and_a_busy_tokenizer_do_not_hold_up_the_event_loop_either() -> None:
    letters = Letters()
    counters = await loaded(PromptCounters({"m": Counting("tokenizer")}, lambda _: letters))
    assert await counters.of("m", ["a"] * 200) == 200
    letters.busy = True  # with a long text, in a thread: its lock is held all the while
    assert await counters.of("m", ["short"]) == 5
    assert letters.threads.isdisjoint({threading.get_ident()})


async def test_bounded_until_it_is_loaded_and_loaded_off_the_event_loop() -> None:
    go_on, threads = threading.Event(), set()

    def load(_: Counting) -> Letters:
        threads.add(threading.get_ident())
        go_on.wait(10)
        return Letters()

    counters = PromptCounters({"m": Counting("tokenizer")}, load)
    counters.start()
    await asyncio.sleep(0.02)
    assert await counters.of("m", ["äöü"]) == BOUND, "bytes, and marks around them"
    assert await counters.of("m", [CHAT]) >= 6
    go_on.set()
    while await counters.of("m", ["äöü"]) != 3:
        await asyncio.sleep(0.001)
    assert threads.isdisjoint({threading.get_ident()})
    await counters.close()


async def test_where_there_is_none_the_bound_stays_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    def load(_: Counting) -> Letters:
        raise ImportError("no module named transformers")

    with caplog.at_level(logging.WARNING, prompt_counters.__name__):
        counters = await loaded(PromptCounters({"m": Counting("tokenizer")}, load))
    assert await counters.of("m", ["äöü"]) == BOUND
    assert "no module named transformers" in caplog.text


async def test_what_a_template_refuses_is_bounded() -> None:
    counters = await loaded(PromptCounters({"m": Counting("tokenizer")}, lambda _: Letters()))
    assert await counters.of("m", [[{"role": "tool", "content": "abc"}]]) > 3


async def test_by_words_and_by_bytes() -> None:
    counters = PromptCounters({"w": Counting("words"), "b": Counting()})
    assert await counters.of("w", [[{"role": "user", "content": "one two"}], "three", [4, 5]]) == 5
    assert await counters.of("b", ["äöü"]) == BOUND
    assert await counters.of("unknown", ["äöü"]) == BOUND


async def test_what_is_reserved_is_what_was_counted(client: httpx.AsyncClient, state: IngressState) -> None:
    use(state, policy("in", unit="input_tokens", limit=100))
    state.counters = PromptCounters({"small": Counting("words")})
    reply = await client.post("/v1/chat/completions", json=ask())
    assert reply.headers["x-ratelimit-remaining-tokens"] == "96", "What is a sluice?"
