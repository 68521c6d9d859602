"""What schemathesis cannot know of this API by its description: see `test_conformance`.

Every check stays on. Two things are told here: how to make durations, whose length no pattern can bound, and which
refusals of well-formed requests are right, each with its reason.
"""

from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis.openapi.checks import MissingHeaderNotRejected, RejectedPositiveData

from policies.quantities import DURATION_FORMAT, MAX_WINDOW_MS, MIN_WINDOW_MS, format_duration

RIGHTLY_REFUSED: tuple[tuple[type[Exception], str, str, str], ...] = (
    (RejectedPositiveData, "version_conflict", "", "a condition (If-Match, If-None-Match) that does not hold is a 412"),
    (RejectedPositiveData, "invalid_cursor", "", "cursors are ours to make: one that was made up is refused"),
    (RejectedPositiveData, "invalid_parameter", "is used twice", "JSON schema knows items that differ, not names"),
    (
        RejectedPositiveData,
        "invalid_parameter",
        "stands alone",
        "OpenAPI has no words for parameters that exclude others",
    ),
    (RejectedPositiveData, "invalid_parameter", "parts of a limit", "JSON schema cannot compare two numbers"),
    (RejectedPositiveData, "invalid_parameter", "stands with", "nor for parameters that go together"),
    (RejectedPositiveData, "invalid_parameter", "one request may have", "nor for the product of two"),
    (RejectedPositiveData, "unsupported_operation", "", "what a model offers is its engine's to say"),
    (RejectedPositiveData, "unsupported_parameter", "by this model", "and so is what it honours"),
    (MissingHeaderNotRejected, "precondition_required", "", "RFC 6585 has 428 for just that, and the check not"),
)
"""What a check makes of a reply, the reply's `code`, a part of its message, and why it is right."""

schemathesis.openapi.format(DURATION_FORMAT, strategies.integers(MIN_WINDOW_MS, MAX_WINDOW_MS).map(format_duration))


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether it is a failure indeed."""
    if not response.headers.get("content-type", [""])[0].startswith("application/json"):
        return True
    body = response.json()
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return True
    return not any(
        isinstance(failure, kind) and error.get("code") == code and part in error.get("message", "")
        for kind, code, part, _ in RIGHTLY_REFUSED
    )
