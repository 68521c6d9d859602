import pytest

from policies import Decision, Window
from policies.http import denial, denying, openai_duration, ratelimit_headers, retry_headers, wait_s


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.12, "120ms"), (1, "1s"), (1.5, "1.5s"), (59.999, "59.999s"), (360, "6m0s"), (7200, "2h0m0s")],
)
def test_durations_in_openais_form(seconds: float, text: str) -> None:
    assert openai_duration(seconds) == text


def window(policy: str, unit: str = "requests", **fields: object) -> Window:
    values: dict[str, object] = {
        "scope": "TENANT",
        "subject": "acme",
        "limit": 100,
        "window_s": 60.0,
        "cost": 1,
        "used": 88,
        "remaining": 12,
        "fits": True,
        "retry_after_s": 0.0,
        "reset_after_s": 4.2,
        "enforced": True,
    }
    return Window(policy=policy, unit=unit, **{**values, **fields})  # type: ignore[arg-type]


def headers(*windows: Window, style: str = "both") -> dict[str, str]:
    decision = Decision("id", True, 0.0, None, 1.0, windows)
    return {name.decode(): value.decode() for name, value in ratelimit_headers(decision, style)}  # type: ignore[arg-type]


def test_openai_shows_the_tightest_of_each_kind() -> None:
    shown = headers(
        window("roomy", remaining=50),
        window("tight", remaining=3, limit=10, reset_after_s=1.5),
        window("tokens", "total_tokens", remaining=900, limit=1000),
        window("slots", "concurrent_requests", remaining=1),
        style="openai",
    )
    assert shown == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "3",
        "x-ratelimit-reset-requests": "1.5s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "900",
        "x-ratelimit-reset-tokens": "4.2s",
    }


def test_the_drafts_form() -> None:
    shown = headers(
        window("burst", remaining=0, fits=False, retry_after_s=4.2), window("daily", window_s=86400.0), style="ietf"
    )
    assert shown == {
        "ratelimit-policy": '"burst";q=100;w=60,"daily";q=100;w=86400',
        "ratelimit": '"burst";r=0;t=5,"daily";r=12;t=5',
    }


def test_of_several_denials_the_one_that_lasts_longest_is_told() -> None:
    slots = window("slots", "concurrent_requests", window_s=30.0, fits=False, retry_after_s=30.0)
    burst = window("burst", fits=False, retry_after_s=4.2)
    shadow = window("shadow", fits=False, retry_after_s=9.0, enforced=False)
    decision = Decision("id", False, 30.0, "slots", 1.0, (slots, burst, shadow))
    assert denying(decision) is burst
    assert (wait_s(burst), wait_s(slots)) == (4.2, 1.0)
    assert denial(decision)["policy"] == "burst"


def test_slots_have_a_unit_and_no_window() -> None:
    assert (
        headers(window("slots", "concurrent_requests"))["ratelimit-policy"] == '"slots";q=100;qu="concurrent-requests"'
    )


def test_shadow_policies_stay_in_the_shadow() -> None:
    assert headers(window("trial", enforced=False)) == {}


def test_no_policies_no_headers() -> None:
    assert headers() == {}


@pytest.mark.parametrize("exact_ms", [1, 57, 999, 1000, 2007, 2011, 4901, 59_999, 60_001])
def test_the_milliseconds_are_exact(exact_ms: int) -> None:
    headers = retry_headers(exact_ms / 1000)
    assert headers["retry-after-ms"] == str(exact_ms)
    assert headers["retry-after"] == str(-(-exact_ms // 1000))
