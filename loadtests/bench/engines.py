"""`make bench-engines`: text generation by our engine, beside the library used plainly and its own continuous batching.

All replies of a round are asked for at once, and a round ends with the last of them. `one by one` is `model.generate`
for each request in its turn, as a server does that wraps the library; `library, batched` is transformers'
`ContinuousBatchingManager`; `engine` is ours, without Ray. All are given the same prompts, greedily; which share of the
replies is the same text as one by one is reported with the figures. Rounds take turns, since the machine may be shared;
figures are medians over the rounds. The first token of `one by one` counts from the round's beginning, as its caller
sees it. Prints a table and writes loadtests/results/engines.json.

    python -m loadtests.bench.engines --model DIR --device cuda --callers 1 8 32

Without `--model` it makes a Llama of random weights on the spot: 8 layers of 512.
"""

import argparse
import asyncio
import json
import platform
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, ContinuousBatchingConfig, GenerationConfig

from deployments.models.engines.protocol import Engine, GenerateRequest
from deployments.models.engines.registry import make_engine
from deployments.models.engines.transformers.loading import chosen_dtype
from tests.deployments.models.engines.tiny_model import make_tiny_model

RESULTS = Path(__file__).parents[1] / "results" / "engines.json"
SHORTEST_PROMPT, LONGEST_PROMPT = 16, 128
"""In tokens."""

Prompt = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What one caller got, and when."""

    text: str
    tokens: int
    first_s: float
    """Since the round began."""


Way = Callable[[Sequence[Prompt], int], Awaitable[list[Told]]]


def prompts(count: int, vocabulary: int) -> list[Prompt]:
    """Of random tokens and lengths, always the same."""
    chance = random.Random(7)
    return [
        tuple(chance.randrange(3, vocabulary) for _ in range(chance.randint(SHORTEST_PROMPT, LONGEST_PROMPT)))
        for _ in range(count)
    ]


class _FirstToken:
    """A streamer that notes when the first token came."""

    def __init__(self) -> None:
        self.calls, self.at = 0, 0.0

    def put(self, _: Any) -> None:
        """The prompt, then token by token."""
        self.calls += 1
        if self.calls == 2:
            self.at = time.perf_counter()

    def end(self) -> None:
        """Nothing to do."""


def one_by_one(model: Any, tokenizer: Any, defaults: GenerationConfig) -> Way:
    """`model.generate` in one thread, one request after another."""

    def run(asked: Sequence[Prompt], tokens: int) -> list[Told]:
        began, told = time.perf_counter(), []
        for prompt in asked:
            ids, first = torch.tensor([prompt], device=model.device), _FirstToken()
            mask = torch.ones_like(ids)
            config = copy(defaults)
            config.max_new_tokens = tokens
            made = model.generate(ids, attention_mask=mask, generation_config=config, streamer=first)
            said = made[0, len(prompt) :].tolist()
            told.append(Told(tokenizer.decode(said, skip_special_tokens=True), len(said), first.at - began))
        return told

    async def way(asked: Sequence[Prompt], tokens: int) -> list[Told]:
        return await asyncio.to_thread(run, asked, tokens)

    return way


def library_batched(manager: Any, tokenizer: Any) -> Way:
    """The library's continuous batching."""

    async def ask(number: int, prompt: Prompt, tokens: int, began: float) -> Told:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        firsts: list[float] = []

        def take(result: Any) -> None:
            if result.generated_tokens:
                firsts.append(time.perf_counter() - began)
            if result.is_finished() and not done.done():
                done.set_result(result)

        identifier = f"{began}-{number}"
        manager.register_result_handler(identifier, take)
        manager.add_request(list(prompt), request_id=identifier, max_new_tokens=tokens, streaming=True)
        result = await done
        if result.error is not None:
            raise RuntimeError(result.error)
        said = result.generated_tokens
        return Told(tokenizer.decode(said, skip_special_tokens=True), len(said), firsts[0])

    async def way(asked: Sequence[Prompt], tokens: int) -> list[Told]:
        began = time.perf_counter()
        return await asyncio.gather(*(ask(number, prompt, tokens, began) for number, prompt in enumerate(asked)))

    return way


def ours(engine: Engine) -> Way:
    """The engine."""

    async def ask(prompt: Prompt, tokens: int, began: float) -> Told:
        first_s, last, text = None, None, ""
        # Log-probabilities so that a chunk comes with every token, be it no whole character.
        async for chunk in engine.generate(GenerateRequest(prompt, max_tokens=tokens, temperature=0.0, logprobs=0)):
            first_s, last, text = first_s or time.perf_counter() - began, chunk, text + chunk.text
        if last is None or last.usage is None or first_s is None:
            raise RuntimeError("a reply without an end")
        return Told(text, last.usage.output_tokens, first_s)

    async def way(asked: Sequence[Prompt], tokens: int) -> list[Told]:
        began = time.perf_counter()
        return await asyncio.gather(*(ask(prompt, tokens, began) for prompt in asked))

    return way


async def measured(way: Way, asked: Sequence[Prompt], tokens: int) -> tuple[dict[str, float], list[str]]:
    """One round: its figures, and its replies."""
    began = time.perf_counter()
    told = await way(asked, tokens)
    took_s = time.perf_counter() - began
    firsts = sorted(each.first_s * 1e3 for each in told)
    per_s = sum(each.tokens for each in told) / took_s
    figures = {"tokens_per_s": per_s, "first_p50_ms": median(firsts), "first_last_ms": firsts[-1]}
    return figures, [each.text for each in told]


async def compared(arguments: argparse.Namespace, folder: str) -> dict[str, Any]:
    """All rounds."""
    device = torch.device(
        arguments.device if arguments.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    )
    most = max(arguments.callers)
    engine = make_engine("transformers", {"model": folder, "device": device.type, "max_batch_requests": most})
    started = time.perf_counter()
    await engine.load()
    load_s = time.perf_counter() - started

    def model() -> Any:
        made = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
        return made.to(device, chosen_dtype("auto", device.type, made.dtype)).eval()

    plain, batched, tokenizer = model(), model(), AutoTokenizer.from_pretrained(folder)
    own = plain.generation_config
    greedy = GenerationConfig(do_sample=False, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id or 0)
    asked = prompts(most, plain.config.get_text_config().vocab_size)
    settings = ContinuousBatchingConfig(max_requests_per_batch=most, max_memory_percent=0.4)
    with batched.continuous_batching_context_manager(
        generation_config=greedy, continuous_batching_config=settings
    ) as manager:
        ways = {
            "one by one": one_by_one(plain, tokenizer, greedy),
            "library, batched": library_batched(manager, tokenizer),
            "engine": ours(engine),
        }
        for way in ways.values():  # nobody pays for what is made once
            await way(asked, 8)
        rows = [
            {"callers": callers, **await _interleaved(ways, asked[:callers], arguments)}
            for callers in arguments.callers
        ]
    await engine.close()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or "cpu",
        "dtype": str(plain.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "parameters": sum(each.numel() for each in plain.parameters()),
        "tokens": arguments.tokens,
        "load_s": round(load_s, 1),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "rows": rows,
    }


async def _interleaved(ways: dict[str, Way], asked: Sequence[Prompt], arguments: argparse.Namespace) -> dict[str, Any]:
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        expected: list[str] = []
        for name, way in ways.items():
            figures, replies = await measured(way, asked, arguments.tokens)
            expected = expected or replies
            same = sum(one == other for one, other in zip(expected, replies, strict=True))
            rounds[name].append({**figures, "same_replies": same / len(replies)})
    return {
        name: {figure: round(median(each[figure] for each in own), 1) for figure in own[0]}
        for name, own in rounds.items()
    }


def table(report: dict[str, Any]) -> str:
    """As Markdown."""
    lines = [
        "| callers | way | tokens/s | against one by one | first token p50 ms | of the last caller | same replies |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for row in report["rows"]:
        base = row["one by one"]["tokens_per_s"]
        for name, own in row.items():
            if name != "callers":
                name = f"**{name}**" if name == "engine" else name
                cells = f"{own['tokens_per_s']:,} | {own['tokens_per_s'] / base:.2f}"
                first = f"{own['first_p50_ms']:,} | {own['first_last_ms']:,}"
                lines.append(f"| {row['callers']} | {name} | {cells} | {first} | {own['same_replies']:.0%} |")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a directory with a model")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64, help="of each reply")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.model or str(make_tiny_model(Path(made), hidden=512, layers=8, heads=8, context=1024))
        report = asyncio.run(compared(arguments, folder))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))
    print(json.dumps({name: value for name, value in report.items() if name != "rows"}))


if __name__ == "__main__":
    main()
