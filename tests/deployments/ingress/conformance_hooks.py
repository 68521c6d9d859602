"""What schemathesis cannot know of this API by its description: see `test_conformance`.

Every check stays on. Two things are told here: how to make durations, whose length no pattern can bound, and which
refusals of well-formed requests are right, each with its reason.
"""

from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis.openapi.checks import MissingHeaderNotRejected, RejectedPositiveData

from policies.entities import DURATION_FORMAT, MAX_WINDOW_MS, MIN_WINDOW_MS, format_duration

RIGHTLY_REFUSED: tuple[tuple[type[Exception], str, str, str], ...] = (
    (RejectedPositiveData, "version_conflict", "", "a condition (If-Match, If-None-Match) that does not hold is a 412"),
    (RejectedPositiveData, "invalid_cursor", "", "cursors are ours to make: a made-up one is a 400"),
    (RejectedPositiveData, "invalid_header", "Match", "schemathesis sends `0` in it, whatever the pattern says"),
    (RejectedPositiveData, "invalid_parameter", "than or equal to", "no pattern can bound how long a duration is"),
    (RejectedPositiveData, "invalid_parameter", "used twice", "no schema can say that names in a list are unique"),
    (RejectedPositiveData, "invalid_parameter", "of a demo key", "which ids demo keys have depends on another field"),
    (RejectedPositiveData, "invalid_parameter", "shards:", "whether a window can be split depends on other fields"),
    (MissingHeaderNotRejected, "precondition_required", "", "RFC 6585 has 428 for just that, and the check not"),
)
"""The failure that a check makes of a refusal; the reply's `code` and what its message has in it; why it is right."""

schemathesis.openapi.format(DURATION_FORMAT, strategies.integers(MIN_WINDOW_MS, MAX_WINDOW_MS).map(format_duration))


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether it is a failure indeed."""
    if not response.headers.get("content-type", [""])[0].startswith("application/json"):
        return True
    error = response.json().get("error")
    return not isinstance(error, dict) or not any(
        isinstance(failure, kind) and error.get("code") == code and word in error.get("message", "")
        for kind, code, word, _ in RIGHTLY_REFUSED
    )
