"""The suite for engines that generate text."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from typing import Any, ClassVar, cast

from deployments.models.engines.protocol import Chunk, Engine, EngineFailureError, GenerateRequest, Prompt, Usage
from deployments.tokenization.counting import most_of_chat, words
from tests.deployments.models.engines.compliance.base import Compliance, collected, refused, text, wait_until

EXTRAS: Mapping[str, Any] = {
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "logit_bias": {"5": 1.0},
    "response_format": {"type": "json_object"},
}
"""Parameters of OpenAI's API that an engine honours or refuses by name."""


def usage(chunks: Sequence[Chunk]) -> Usage:
    """What the reply used."""
    used = chunks[-1].usage
    assert used is not None, "the last chunk has the usage"
    return used


class GenerationCompliance(Compliance):
    """Chunks, usage, stop texts, determinism, cancellation, failures, concurrency, characters, log-probabilities."""

    ABOUT = "generate"
    MAY_LACK = Compliance.MAY_LACK | {
        "batch invariance",  # the same greedy reply, whatever else is in the batch
        "cancellation",  # a generation that ends when its reader goes
        "exact count",  # input tokens as `counting()` has them, where it is not a bound
        "failures",  # a way to make one request fail in mid-stream
        "logprobs",
        "seed",
        "text",  # prompts that are a text
        "tokens",  # prompts that are tokens
        "too long",  # prompts that the model cannot read
        "unicode",  # a request whose reply has characters spread over several tokens
    }

    long_tokens: ClassVar[int] = 24
    """The sample requests' greedy replies have at least so many tokens."""

    lengthy_tokens: ClassVar[int] = 100
    """Of a reply that is not finished when its reader goes after the first chunk."""

    supported_extras: ClassVar[frozenset[str]] = frozenset()
    """Which of `EXTRAS` the engine honours."""

    unicode_reply: ClassVar[str] = ""
    """The reply to `unicode_request`, or a part of it: with characters that are spread over several tokens."""

    # What an engine's own class says beside this.

    def prompt(self, number: int = 0) -> Prompt:
        """Different for each number, and so are the greedy replies to some of them."""
        return ({"role": "user", "content": f"What is gate {number} of the sluice for? " + "Tell me. " * (number % 3)},)

    def text_prompt(self) -> str:
        """A prompt that is a text."""
        return "The water flows through"

    def token_prompt(self) -> tuple[int, ...]:
        """A prompt of tokens."""
        return (5, 6, 7)

    def unicode_request(self) -> GenerateRequest:
        """See `unicode_reply`."""
        raise NotImplementedError("a request whose reply has characters of several tokens, or say it in `lacks`")

    def too_long(self) -> GenerateRequest:
        """A request whose prompt the model cannot read."""
        raise NotImplementedError("a prompt that is too long, or say it in `lacks`")

    def failing(self, engine: Engine) -> AbstractAsyncContextManager[GenerateRequest]:
        """A request that fails after its first chunk, while the context lasts."""
        raise NotImplementedError("a request that fails in mid-stream, or say it in `lacks`")

    def exact_input_tokens(self, prompt: Prompt) -> int:
        """As the ingress counts them."""
        assert self.counting().by == "words", "say how the ingress counts the prompts of this engine"
        assert not isinstance(prompt, str)
        return words([cast(Mapping[str, str], message)["content"] for message in prompt])

    # Helpers.

    def greedy(self, number: int = 0, **fields: Any) -> GenerateRequest:
        """The greedy sample request of that number."""
        return GenerateRequest(
            self.prompt(number), **{"max_tokens": self.long_tokens, "temperature": 0.0, "seed": 1, **fields}
        )

    async def sample(self, engine: Engine) -> object:
        return await collected(engine, self.greedy(max_tokens=4))

    async def reference(self, engine: Engine, number: int = 0) -> str:
        """The greedy reply of that number; long enough for what is done with it."""
        reply = await collected(engine, self.greedy(number))
        assert usage(reply).output_tokens == self.long_tokens, "choose prompts whose greedy replies are long"
        return text(reply)

    async def full_load(self, engine: Engine) -> list[str]:
        """As many greedy replies at once as make a full load."""
        replies = await asyncio.gather(*(collected(engine, self.greedy(n)) for n in range(self.concurrency)))
        return [text(reply) for reply in replies]

    async def idle(self, engine: Engine) -> None:
        await wait_until(lambda: self.running(engine) == 0, "requests still run that nobody waits for")

    # Chunks and usage.

    async def test_only_the_last_chunk_has_a_reason_and_the_usage(self, engine: Engine) -> None:
        *rest, last = await collected(engine, self.greedy())
        assert all(chunk.finish_reason is None and chunk.usage is None for chunk in rest)
        assert last.finish_reason in ("stop", "length")
        assert last.usage is not None

    async def test_the_reply_comes_in_pieces(self, engine: Engine) -> None:
        pieces = [chunk for chunk in await collected(engine, self.greedy()) if chunk.text]
        assert len(pieces) > 2, "a reply of many tokens comes as it grows"

    async def test_max_tokens_is_kept_and_said(self, engine: Engine) -> None:
        for most in (1, 2, 7):
            reply = await collected(engine, self.greedy(max_tokens=most))
            assert usage(reply).output_tokens == most
            assert reply[-1].finish_reason == "length"

    async def test_a_shorter_reply_is_the_beginning_of_a_longer_one(self, engine: Engine) -> None:
        whole = await self.reference(engine)
        cut = text(await collected(engine, self.greedy(max_tokens=self.long_tokens // 2)))
        assert whole.startswith(cut.rstrip("\ufffd"))  # a character may be cut in half there
        assert 0 < len(cut) < len(whole)

    async def test_equal_prompts_have_equal_counts_and_longer_ones_more(self, engine: Engine) -> None:
        counts = []
        for content in ("one two", "one two", "one two three four five"):
            request = GenerateRequest(({"role": "user", "content": content},), max_tokens=2, temperature=0.0)
            counts.append(usage(await collected(engine, request)).input_tokens)
        once, again, longer = counts
        assert 0 < once == again < longer

    async def test_prompts_are_counted_as_the_ingress_counts_them(self, engine: Engine) -> None:
        conversation = (
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "Where does the water go? Größe: 5 µm, 水門 🌊"},
            {"role": "assistant", "content": "Down."},
            {"role": "user", "content": "And then?"},
        )
        used = usage(await collected(engine, GenerateRequest(conversation, max_tokens=1, temperature=0.0)))
        if self.counting().by == "bytes":  # a bound, of which the engine may use less
            assert 0 < used.input_tokens <= most_of_chat(conversation)
            return
        self.need("exact count")
        assert used.input_tokens == self.exact_input_tokens(conversation)

    async def test_prompts_of_text(self, engine: Engine) -> None:
        request = self.greedy(max_tokens=3)
        if not self.has("text"):
            with refused():
                await collected(engine, replace(request, prompt=self.text_prompt()))
            return
        used = usage(await collected(engine, replace(request, prompt=self.text_prompt())))
        assert used.input_tokens > 0
        assert used.output_tokens > 0

    async def test_prompts_of_tokens(self, engine: Engine) -> None:
        request = replace(self.greedy(max_tokens=3), prompt=self.token_prompt())
        if not self.has("tokens"):
            with refused():
                await collected(engine, request)
            return
        used = usage(await collected(engine, request))
        assert used.input_tokens == len(self.token_prompt())
        assert used.output_tokens > 0

    # Stop texts.

    async def test_stop_texts_are_no_part_of_the_reply(self, engine: Engine) -> None:
        whole = await self.reference(engine)
        for begin, length in _pieces(len(whole)):
            stop = whole[begin : begin + length]
            reply = await collected(engine, self.greedy(stop=(stop,)))
            assert text(reply) == whole[: whole.index(stop)], f"stopped by {stop!r} in {whole!r}"
            assert reply[-1].finish_reason == "stop"
            assert 0 < usage(reply).output_tokens <= self.long_tokens

    async def test_a_stop_text_across_the_borders_of_chunks(self, engine: Engine) -> None:
        chunks = [chunk.text for chunk in await collected(engine, self.greedy()) if chunk.text]
        whole, at = "".join(chunks), 0
        for piece in chunks[:-1]:
            at += len(piece)
            stop = whole[max(at - 2, 0) : at + 2]
            reply = await collected(engine, self.greedy(stop=(stop,)))
            assert text(reply) == whole[: whole.index(stop)], f"stopped by {stop!r} in {whole!r}"
            assert reply[-1].finish_reason == "stop"

    async def test_the_earliest_of_several_stop_texts_ends_it(self, engine: Engine) -> None:
        whole = await self.reference(engine)
        middle, end = len(whole) // 2, len(whole) - 3
        for stops in ((whole[middle : middle + 4], whole[end:]), (whole[end:], whole[middle : middle + 4])):
            reply = await collected(engine, self.greedy(stop=("\0never", *stops)))
            assert text(reply) == whole[: min(whole.index(stop) for stop in stops)]
            assert reply[-1].finish_reason == "stop"

    async def test_what_only_begins_like_a_stop_text_is_part_of_the_reply(self, engine: Engine) -> None:
        whole = await self.reference(engine)
        middle = len(whole) // 2
        nearly = tuple(f"{piece}\0" for piece in (whole[2:6], whole[middle : middle + 9], whole[-5:], whole[-1:]))
        reply = await collected(engine, self.greedy(stop=nearly))
        assert text(reply) == whole
        assert reply[-1].finish_reason == "length"

    async def test_a_reply_may_begin_with_a_stop_text(self, engine: Engine) -> None:
        whole = await self.reference(engine)
        reply = await collected(engine, self.greedy(stop=(whole[:5],)))
        assert text(reply) == ""
        assert reply[-1].finish_reason == "stop"
        assert usage(reply).output_tokens > 0

    # The same again.

    async def test_greedy_replies_are_the_same_again(self, engine: Engine) -> None:
        once, again = [await collected(engine, self.greedy()) for _ in range(2)]
        # Not chunk by chunk: an engine may put together what a slow reader has not yet taken.
        assert (text(once), once[-1].finish_reason, usage(once)) == (text(again), again[-1].finish_reason, usage(again))

    async def test_equal_seeds_have_equal_replies(self, engine: Engine) -> None:
        def sampled(seed: int) -> GenerateRequest:
            return self.greedy(temperature=1.0, top_p=0.95, seed=seed)

        if not self.has("seed"):
            with refused("unsupported_parameter", param="seed"):
                await collected(engine, sampled(1))
            return
        alone = [text(await collected(engine, sampled(seed))) for seed in range(4)]
        assert alone == [text(await collected(engine, sampled(seed))) for seed in range(4)]
        assert len(set(alone)) > 1, "different seeds have different replies"

    # Going away.

    async def test_a_closed_iterator_ends_the_generation(self, engine: Engine) -> None:
        self.need("cancellation")
        before = await self.full_load(engine)
        for _ in range(2 * self.concurrency):
            chunks = cast(Any, engine.generate(self.greedy(max_tokens=self.lengthy_tokens)))
            async with aclosing(chunks):
                await anext(chunks)
                assert self.running(engine) > 0, "`running` says what runs"
        await self.idle(engine)
        assert await self.full_load(engine) == before

    async def test_cancelled_tasks_end_their_generations(self, engine: Engine) -> None:
        self.need("cancellation")
        before = await self.full_load(engine)
        for pause_s in (0.0, 0.01):  # before the first chunk, most likely, and after it
            requests = [self.greedy(n, max_tokens=self.lengthy_tokens) for n in range(self.concurrency)]
            tasks = [asyncio.create_task(collected(engine, request)) for request in requests]
            await asyncio.sleep(pause_s)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=5)
            assert all(task.done() for task in tasks)
            await self.idle(engine)
        assert await self.full_load(engine) == before

    async def test_one_that_goes_leaves_the_others_alone(self, engine: Engine) -> None:
        self.need("cancellation")
        self.need("batch invariance")
        alone = [await self.reference(engine, n) for n in range(1, self.concurrency)]
        others = [asyncio.create_task(collected(engine, self.greedy(n))) for n in range(1, self.concurrency)]
        leaving = cast(Any, engine.generate(self.greedy(0, max_tokens=self.lengthy_tokens)))
        await anext(leaving)
        await leaving.aclose()
        assert [text(reply) for reply in await asyncio.gather(*others)] == alone
        await self.idle(engine)

    async def test_nothing_runs_before_the_first_chunk_is_asked_for(self, engine: Engine) -> None:
        chunks = cast(Any, engine.generate(self.greedy()))
        await asyncio.sleep(0)
        await chunks.aclose()
        await self.idle(engine)

    # Failures and refusals.

    async def test_a_failure_in_mid_stream_is_of_that_request_alone(self, engine: Engine) -> None:
        self.need("failures")
        alone = [await self.reference(engine, n) for n in range(self.concurrency - 1)]
        async with self.failing(engine) as request:
            others = [asyncio.create_task(collected(engine, self.greedy(n))) for n in range(self.concurrency - 1)]
            chunks = cast(Any, engine.generate(request))
            try:
                async with aclosing(chunks):
                    came = [await anext(chunks)]
                    async for chunk in chunks:
                        came.append(chunk)
            except EngineFailureError:
                assert all(chunk.usage is None for chunk in came), "a reply that ended has not failed"
            else:
                raise AssertionError("it did not fail")
            replies = [text(reply) for reply in await asyncio.gather(*others)]
        if self.has("batch invariance"):
            assert replies == alone
        await self.idle(engine)
        await engine.check_health()
        assert text(await collected(engine, self.greedy(0))) == alone[0]

    async def test_a_prompt_that_is_too_long_is_refused(self, engine: Engine) -> None:
        self.need("too long")
        with refused():
            await collected(engine, self.too_long())
        await self.idle(engine)

    async def test_parameters_are_honoured_or_refused_by_name(self, engine: Engine) -> None:
        for name, value in EXTRAS.items():
            request = self.greedy(max_tokens=4, extra={name: value})
            if name in self.supported_extras:
                assert usage(await collected(engine, request)).output_tokens > 0
                continue
            came = []
            with refused("unsupported_parameter", param=name):
                async with aclosing(cast(Any, engine.generate(request))) as chunks:
                    async for chunk in chunks:
                        came.append(chunk)
            assert came == [], "a refusal comes before the first chunk"

    # Many at once.

    async def test_replies_at_once_are_those_one_by_one(self, engine: Engine) -> None:
        self.need("batch invariance")
        alone = [await self.reference(engine, n) for n in range(self.concurrency)]
        assert len(set(alone)) > 1, "choose prompts with different replies"
        assert await self.full_load(engine) == alone

    async def test_more_requests_than_it_can_run_at_once_are_all_answered(self, engine: Engine) -> None:
        requests = [self.greedy(n, max_tokens=1 + n % 5) for n in range(4 * self.concurrency)]
        replies = await asyncio.gather(*(collected(engine, request) for request in requests))
        assert [usage(reply).output_tokens for reply in replies] == [request.max_tokens for request in requests]

    # Characters, and their probabilities.

    async def test_characters_of_several_tokens_come_whole(self, engine: Engine) -> None:
        self.need("unicode")
        assert any(len(character.encode()) > 2 for character in self.unicode_reply), "give a reply that can be split"
        chunks = await collected(engine, self.unicode_request())
        assert not any("\ufffd" in chunk.text for chunk in chunks)
        assert self.unicode_reply in text(chunks)

    async def test_log_probabilities_only_where_asked_for(self, engine: Engine) -> None:
        assert all(chunk.logprobs == () for chunk in await collected(engine, self.greedy()))

    async def test_log_probabilities_of_every_generated_token(self, engine: Engine) -> None:
        for top in (0, 3):
            if not self.has("logprobs"):
                with refused("unsupported_parameter", param="logprobs"):
                    await collected(engine, self.greedy(logprobs=top))
                continue
            reply = await collected(engine, self.greedy(logprobs=top))
            told = [each for chunk in reply for each in chunk.logprobs]
            assert len(told) == usage(reply).output_tokens
            assert text(reply) == await self.reference(engine), "asking changes nothing"
            said = b"".join(each.utf8 for each in told).decode(errors="replace")
            assert said.strip("\ufffd ") == text(reply).strip("\ufffd ")
            for each in told:
                assert each.logprob <= 0
                assert len(each.top) == top
                assert [t.logprob for t in each.top] == sorted((t.logprob for t in each.top), reverse=True)
                assert all(t.top == () for t in each.top)
                if top:  # greedy: the likeliest was taken
                    assert (each.top[0].token, each.top[0].logprob) == (each.token, each.logprob)


def _pieces(length: int) -> list[tuple[int, int]]:
    """Where stop texts of several lengths begin, in a text of that length."""
    return [
        (at, size) for at in range(1, length - 1, max(length // 6, 1)) for size in (1, 3, 12) if at + size <= length
    ]
