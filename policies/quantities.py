"""Whole numbers and durations, as they are written in files, requests and JSON schema."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

MIN_WINDOW_MS, MAX_WINDOW_MS = 100, 31 * 86_400_000
"""Shortest and longest window: 100 ms and 31 days."""

DURATION_FORMAT = "sluice-duration"
"""What durations are called in JSON schema, where no pattern can say how long they may be."""

_DURATION = r"^([0-9]{1,10}(ms|s|m|h|d)){1,5}$"
_DURATION_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_UNIT_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def whole_number(value: object) -> object:
    """`5.0` as the integer 5, which in JSON it is: clients in languages with one type of number write it so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(whole_number)
"""Behind the bounds of an integer: takes `5.0` also where types are strict. (`"5"` is none there, and 5.5 nowhere.)"""


def parse_duration_ms(value: object) -> object:
    """`"10s"`, `"1m30s"`, `"250ms"`, `"31d"` as milliseconds; whole numbers are milliseconds already."""
    if not isinstance(value, str):
        return whole_number(value)
    if not re.fullmatch(_DURATION, value):
        raise ValueError(
            f"{value!r} is not a duration: write a number and ms, s, m, h or d, such as 10s, 250ms or 1m30s"
        )
    return sum(int(number) * _UNIT_MS[unit] for number, unit in _DURATION_PART.findall(value))


def format_duration(ms: int) -> str:
    """The shortest way to write a duration: 90000 is `1m30s`, 0 is `0s`."""
    out = ""
    for unit, size in _UNIT_MS.items():
        count, ms = divmod(ms, size)
        out += f"{count}{unit}" if count else ""
    return out or "0s"


def duration_schema(at_least_ms: int) -> dict[str, Any]:
    """How a duration is described in JSON schema, where it may be written in both ways."""
    return {
        "anyOf": [
            {
                "type": "string",
                "format": DURATION_FORMAT,
                "pattern": _DURATION,
                "description": f"{format_duration(at_least_ms)} to {format_duration(MAX_WINDOW_MS)}",
            },
            {"type": "integer", "minimum": at_least_ms, "maximum": MAX_WINDOW_MS},
        ],
        "examples": ["10s"],
    }


DurationMs = Annotated[
    int,
    BeforeValidator(parse_duration_ms),
    Field(ge=MIN_WINDOW_MS, le=MAX_WINDOW_MS),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(duration_schema(MIN_WINDOW_MS)),
]
