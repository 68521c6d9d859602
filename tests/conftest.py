"""Options of the test run; pytest reads them only from this folder's conftest."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--limiter-steps", type=int, default=10_000, help="steps of the limiter against its model")
    parser.addoption(
        "--limiter-shrink", action="store_true", help="look for the shortest schedule that fails (minutes)"
    )
    parser.addoption("--exactness-seconds", type=float, default=3, help="how long many processes try to break a limit")
