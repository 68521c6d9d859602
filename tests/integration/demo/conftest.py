"""One application for all tests of this folder: serve_config.yaml as it is, with a policy more, an access log, and
traces of what asks for one."""

from collections.abc import Iterator

import pytest

from tests.integration.conftest import Application, configuration, free_port, serving
from tests.observability.receiver import Receiver, receiving


@pytest.fixture(scope="package")
def traces() -> Iterator[Receiver]:
    """Where the application's traces go."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="package")
def application(tmp_path_factory: pytest.TempPathFactory, traces: Receiver) -> Iterator[Application]:
    folder, port = tmp_path_factory.mktemp("app"), free_port()
    config = configuration(port, folder / "state")
    arguments = config["applications"][0]["args"]
    arguments["logging"] = {"access": True}
    arguments["tracing"] = {"enabled": True, "endpoint": traces.endpoint, "sample_rate": 0}
    with serving(config, folder) as running:
        yield running
