import pytest

from policies.quantities import format_duration, parse_duration_ms


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("100ms", 100), ("1s", 1_000), ("90s", 90_000), ("1m30s", 90_000), ("1h", 3_600_000), ("31d", 2_678_400_000)],
)
def test_durations_are_read(text: str, milliseconds: int) -> None:
    assert parse_duration_ms(text) == milliseconds


@pytest.mark.parametrize(("ms", "text"), [(90_000, "1m30s"), (100, "100ms"), (86_400_000, "1d"), (0, "0s")])
def test_durations_are_written_as_short_as_they_go(ms: int, text: str) -> None:
    assert format_duration(ms) == text
