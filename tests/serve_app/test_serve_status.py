"""What Serve says of itself, made short for a person at a terminal."""

import pytest

from serve_app.serve_status import ApplicationState, reason

NESTED = """The deployment failed to start 3 times in a row. See controller logs for details. Error:
\x1b[36mray::ServeReplica:sluice:model-a.initialize_and_get_metadata()\x1b[39m (pid=7, ip=10.0.0.1)
  File "replica.py", line 1928, in initialize
    raise RuntimeError(traceback.format_exc()) from None
RuntimeError: Traceback (most recent call last):
  File "replica.py", line 1926, in initialize
    await self.check_health()
  File "service.py", line 45, in check_health
    await self._engine.load()
deployments.models.engines.protocol.EngineOptionsError: model: there is no directory /no/such/model.
Give the directory that holds config.json.
"""

CASES = [
    ("no error", "Waiting for 1 replica to start.\n", "Waiting for 1 replica to start."),
    (
        "one in the other",
        NESTED,
        "EngineOptionsError: model: there is no directory /no/such/model.\nGive the directory that holds config.json.",
    ),
    ("a traceback that was cut off", "Traceback (most recent call last):\n  File", None),
]


@pytest.mark.parametrize(("message", "short"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_reason(message: str, short: str | None) -> None:
    assert reason(message) == (message if short is None else short)


def test_a_failure_names_the_deployments_and_why() -> None:
    deployments = {"Ingress": "ready", "model-a": f"0/1 {reason(NESTED)}"}
    state = ApplicationState("app", "DEPLOY_FAILED", "Failed to update the deployments ['model-a'].", deployments)
    assert state.failure().startswith("model-a: 0/1 EngineOptionsError: model: there is no directory /no/such/model.")
    assert "Ingress" not in state.failure()


def test_of_a_failed_build_there_is_its_message() -> None:
    assert (
        ApplicationState("app", "DEPLOY_FAILED", "Deploying failed:\nwhy\n", {}).failure() == "Deploying failed:\nwhy"
    )
