"""The engine that a class of the compliance suite runs against: made once for the class, in the class's event loop."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("tests.deployments.models.engines.compliance")

from deployments.models.engines.protocol import Engine  # noqa: E402 - the line above must come before what it is about


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """See the module."""
    made: Engine = request.cls().make()
    await made.load()
    yield made
    await made.close()
