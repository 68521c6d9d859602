"""One application for all tests of this folder: serve_config.yaml as it is, with a policy more and an access log."""

from collections.abc import Iterator

import pytest

from tests.integration.conftest import Application, configuration, free_port, serving


@pytest.fixture(scope="package")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder, port = tmp_path_factory.mktemp("app"), free_port()
    config = configuration(port, folder / "state")
    config["applications"][0]["args"]["logging"] = {"access": True}
    with serving(config, folder) as running:
        yield running
