"""What concerns the whole run: its options, which pytest reads only from this folder's conftest, and its garbage."""

import gc

import pytest


def pytest_collection_finish() -> None:
    # Half a million objects of modules, which last as long as the run: to look through them whenever all garbage is
    # collected took a fifth of its time.
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--limiter-steps", type=int, default=10_000, help="steps of the limiter against its model")
    parser.addoption(
        "--limiter-shrink", action="store_true", help="look for the shortest schedule that fails (minutes)"
    )
    parser.addoption("--exactness-seconds", type=float, default=3, help="how long many processes try to break a limit")
