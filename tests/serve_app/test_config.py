"""The typed settings: values that would only fail much later are refused with the fix."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from deployments.ingress.client_address import ClientAddresses
from deployments.ingress.state import IngressSettings
from policies.access import RedisAccess
from serve_app.config import EngineSettings, HttpSettings, RedisSettings


def test_what_is_set_reaches_the_ingress() -> None:
    # `serve_app.graph` hands them over by name.
    http = HttpSettings(trusted_proxies=("10.0.0.0/8", "192.0.2.1"), cors_origins=("https://chat.example:8443",))
    assert IngressSettings(**http.model_dump()).trusted_proxies == ("10.0.0.0/8", "192.0.2.1/32")
    assert IngressSettings(**HttpSettings().model_dump()) == IngressSettings()
    ClientAddresses(http.trusted_proxies)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("trusted_proxies", ["10.0.0.0/33"], "must be an address or network such as"),
        ("trusted_proxies", ["10.0.0.1/8"], "must be an address or network such as"),
        ("trusted_proxies", ["proxy.internal"], "must be an address or network such as"),
        ("cors_origins", ["chat.example"], "must be an origin such as"),
        ("cors_origins", ["https://chat.example/"], "must be an origin such as"),
        ("cors_origins", ["https://*.example"], "must be an origin such as"),
        ("failed_authentications_per_minute", -1, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_meant(field: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        HttpSettings.model_validate({field: value})


def test_a_kind_of_engine_that_there_is_not() -> None:
    with pytest.raises(ValidationError, match=r"kind\n.* must be one of simulated, transformers, vllm, python"):
        EngineSettings.model_validate({"kind": "transformer", "options": {"model": "gpt2"}})


def test_files_of_passwords_and_certificates_reach_the_client() -> None:
    settings = RedisSettings.model_validate(
        {
            "url": "rediss+sentinel://h/main",
            "username": "u",
            "password_file": "/p",
            "sentinel_username": "s",
            "sentinel_password_file": "/sp",
            "ca_file": "/ca",
            "cert_file": "/cert",
            "key_file": "/key",
        }
    )
    paths = [Path(path) for path in ("/p", "/sp", "/ca", "/cert", "/key")]
    assert settings.access() == RedisAccess("u", paths[0], "s", *paths[1:])
    assert not settings.warnings()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"username": "u", "password_file": "/p"}, "the embedded Redis has neither password nor TLS"),
        ({"url": "redis://h", "ca_file": "/ca"}, "ca_file is for TLS, and the address has none"),
        ({"url": "redis://:hush@h", "password_file": "/p"}, "leave them out of the address"),
        ({"url": "rediss://:hush@h", "password_file": "p"}, "password_file is 'p', which depends on where"),
        ({"url": "redis+sentinel://:hush@h"}, "no name of the primary"),
        ({"url": "redis://:hush@h", "deadline_ms": 0}, "greater than or equal to 1"),
    ],
)
def test_redis_settings_that_contradict_each_other(settings: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as told:
        RedisSettings.model_validate(settings)
    assert "hush" not in str(told.value)


def test_a_password_in_an_address_is_warned_of_without_being_shown() -> None:
    (warning,) = RedisSettings(url="redis://:hush@h").warnings()
    assert "args.redis.password_file" in warning
    assert "hush" not in warning
    assert not RedisSettings(url="redis://h").warnings()
    assert not RedisSettings().warnings()
