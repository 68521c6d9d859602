"""The typed settings: values that would only fail much later are refused with the fix."""

import pytest
from pydantic import ValidationError

from deployments.ingress.client_address import ClientAddresses
from deployments.ingress.state import IngressSettings
from serve_app.config import EngineSettings, HttpSettings


def test_what_is_set_reaches_the_ingress() -> None:
    # `serve_app.graph` hands them over by name.
    http = HttpSettings(trusted_proxies=("10.0.0.0/8", "192.0.2.1"), cors_origins=("https://chat.example:8443",))
    assert IngressSettings(**http.model_dump()).trusted_proxies == ("10.0.0.0/8", "192.0.2.1/32")
    assert IngressSettings(**HttpSettings().model_dump()) == IngressSettings()
    ClientAddresses(http.trusted_proxies)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("trusted_proxies", ["10.0.0.0/33"], "no address or network"),
        ("trusted_proxies", ["10.0.0.1/8"], "no address or network"),
        ("trusted_proxies", ["proxy.internal"], "no address or network"),
        ("cors_origins", ["chat.example"], "no origin"),
        ("cors_origins", ["https://chat.example/"], "no origin"),
        ("cors_origins", ["https://*.example"], "no origin"),
        ("failed_authentications_per_minute", -1, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_meant(field: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        HttpSettings.model_validate({field: value})


def test_a_kind_of_engine_that_there_is_not() -> None:
    with pytest.raises(ValidationError, match=r"kind\n.* must be one of simulated, transformers, vllm, python"):
        EngineSettings.model_validate({"kind": "transformer", "options": {"model": "gpt2"}})
