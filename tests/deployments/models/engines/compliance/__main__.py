"""Runs a suite on this machine, without pytest: `tests.deployments.models.engines.compliance` says how."""

import argparse
import asyncio
import inspect
import json
import sys
import time
import traceback
from importlib import import_module
from typing import Any
from unittest import SkipTest

from tests.deployments.models.engines.compliance import (
    Compliance,
    EmbeddingCompliance,
    GenerationCompliance,
    InferCompliance,
)

SUITES: dict[str, type[Compliance]] = {
    "generation": GenerationCompliance,
    "embedding": EmbeddingCompliance,
    "infer": InferCompliance,
}


async def run(suite: type[Compliance], only: str) -> bool:
    """Runs all tests against one engine; whether none failed."""
    engine = suite().make()
    started = time.monotonic()
    await engine.load()
    print(f"{suite.__name__}: loaded in {time.monotonic() - started:.2f} s", flush=True)
    counts = {"passed": 0, "lacks": 0, "FAILED": 0}
    for name in dir(suite):
        if not name.startswith("test_") or only not in name:
            continue
        started = time.monotonic()
        outcome, said = await outcome_of(suite(), name, engine)
        counts[outcome] += 1
        print(f"{outcome:6} {time.monotonic() - started:6.2f} s  {name}{said}", flush=True)
    await engine.close()
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return counts["passed"] > 0 and not counts["FAILED"]


async def outcome_of(suite: Compliance, name: str, engine: Any) -> tuple[str, str]:
    """`passed`, `lacks` or `FAILED`, and what there is to say."""
    test = getattr(suite, name)
    try:
        done = test(*[engine] * len(inspect.signature(test).parameters))
        if inspect.isawaitable(done):
            await done
    except SkipTest as reason:
        return "lacks", f": {reason}"
    except Exception:  # noqa: BLE001 - whatever a test raises is its failure, and the others run on
        return "FAILED", "\n" + traceback.format_exc()
    return "passed", ""


def _suite(arguments: argparse.Namespace) -> type[Compliance]:
    if arguments.suite not in SUITES:
        module, _, name = arguments.suite.partition(":")
        found = getattr(import_module(module), name)
        assert issubclass(found, Compliance), f"{arguments.suite} is no suite"
        base: type[Compliance] = found
    else:
        base = SUITES[arguments.suite]
    given = {"kind": arguments.kind, "options": arguments.options, **arguments.set}
    stated = {name: value for name, value in given.items() if value is not None}
    if arguments.lacks:
        stated["lacks"] = {**base.lacks, **dict(arguments.lacks)}
    return type(base.__name__, (base,), stated)


def _pair(text: str) -> tuple[str, str]:
    what, _, why = text.partition("=")
    if not why:
        raise argparse.ArgumentTypeError("say why: CAPABILITY=REASON")
    return what, why


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", help=f"{', '.join(SUITES)}, or module:Class of a test module")
    parser.add_argument("--kind", help="of the engine")
    parser.add_argument("--options", type=json.loads, help="of the engine, as JSON")
    parser.add_argument("--lacks", type=_pair, action="append", default=[], help="CAPABILITY=REASON; repeatable")
    parser.add_argument("--set", type=json.loads, default={}, help='other attributes of the suite: {"long_tokens": 8}')
    parser.add_argument("-k", dest="only", default="", help="only tests whose names have this in them")
    arguments = parser.parse_args()
    return 0 if asyncio.run(run(_suite(arguments), arguments.only)) else 1


if __name__ == "__main__":
    sys.exit(main())
