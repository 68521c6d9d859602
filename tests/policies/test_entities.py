import json

import pytest
from pydantic import ValidationError

from policies import ApiKey, RateLimitPolicy, Tenant
from policies.entities import MAX_LIMIT


@pytest.mark.parametrize(
    "window",
    ["", "10", "s", "1.5s", "-1s", "10 s", "1w", "99ms", "32d", 0, "1sx", "١s", "1s\n", f"{'0' * 11}1s", "1s" * 6],
)
def test_windows_that_make_no_sense_are_refused(window: object) -> None:
    with pytest.raises(ValidationError):
        RateLimitPolicy(name="p", scope="TENANT", limit=1, window=window)


def policy_of(**fields: object) -> RateLimitPolicy:
    """Read as the API reads it: strictly."""
    body = {"name": "p", "scope": "TENANT", "limit": 1, "window": "1s", **fields}
    return RateLimitPolicy.model_validate_json(json.dumps(body), strict=True)


def test_whole_numbers_may_have_a_point() -> None:
    policy = policy_of(limit=5.0, window=1000.0)
    assert (policy.limit, policy.window) == (5, 1000)
    assert isinstance(policy.limit, int)
    assert isinstance(policy.window, int)


@pytest.mark.parametrize("limit", [5.5, "5", True, 1e300, None])
def test_other_things_are_no_whole_numbers(limit: object) -> None:
    with pytest.raises(ValidationError):
        policy_of(limit=limit)


def test_an_unreadable_window_says_how_to_write_one() -> None:
    with pytest.raises(ValidationError, match="'1w' is not a duration: write a number and ms, s, m, h or d"):
        RateLimitPolicy(name="p", scope="TENANT", limit=1, window="1w")


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1, 1.5, "many"])
def test_limits_are_whole_and_positive(limit: object) -> None:
    with pytest.raises(ValidationError):
        RateLimitPolicy(name="p", scope="TENANT", limit=limit, window="1s")


def test_a_window_is_needed_unless_something_is_held() -> None:
    with pytest.raises(ValidationError, match="window: missing"):
        RateLimitPolicy(name="p", scope="TENANT", limit=1)
    assert RateLimitPolicy(name="p", scope="TENANT", unit="concurrent_requests", limit=1).window == 30_000


@pytest.mark.parametrize("name", ["", "a b", "a\r\nx-evil: 1", "{a}", "a|b", 'a"b', "-a", "a" * 129])
def test_names_hold_nothing_that_could_break_out(name: str) -> None:
    with pytest.raises(ValidationError):
        Tenant(name=name)


def test_a_misspelt_field_is_an_error() -> None:
    with pytest.raises(ValidationError, match="qos_teir"):
        Tenant.model_validate({"name": "acme", "qos_teir": "premium"})


def test_match_takes_one_name_or_several() -> None:
    policy = RateLimitPolicy(name="p", scope="TENANT", limit=1, window="1s", match={"tenant": "a", "model": ["x", "y"]})
    assert policy.match.conditions() == {"tenant": ("a",), "model": ("x", "y")}


def test_a_moment_needs_its_zone() -> None:
    with pytest.raises(ValidationError, match="needs its zone"):
        ApiKey(id="k", user="u", sha256="0" * 64, expires_at="2027-01-01T00:00:00")


def test_an_entity_survives_json() -> None:
    policy = RateLimitPolicy(name="p", scope="TENANT", limit=5, window="1m30s", match={"tenant": "a"}, per=["user"])
    assert '"window":"1m30s"' in policy.model_dump_json()
    assert RateLimitPolicy.model_validate_json(policy.model_dump_json()) == policy


def test_a_demo_key_is_always_marked_as_one() -> None:
    """Its secret is known to everybody: unmarked, it would work where the application runs without `demo: true`."""
    with pytest.raises(ValidationError, match="demo: true"):
        ApiKey(id="demo-admin", user="u", sha256="0" * 64)
    assert ApiKey(id="demo-admin", user="u", sha256="0" * 64, demo=True).demo
    assert not ApiKey(id="demo", user="u", sha256="0" * 64).demo
