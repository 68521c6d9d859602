"""The ModelRouter deployment, as far as it can be seen without Ray Serve."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray import serve

from deployments.router.deployment import ModelRouter, SeveralRoutersError


def _start(monkeypatch: pytest.MonkeyPatch, replicas: int | None, autoscaling: Any = None) -> None:
    config = SimpleNamespace(autoscaling_config=autoscaling)
    context = SimpleNamespace(world_size=replicas, _deployment_config=config)
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)
    deployment: Any = ModelRouter
    deployment.func_or_class({}, qos={})


def test_one_router(monkeypatch: pytest.MonkeyPatch) -> None:
    _start(monkeypatch, 1)


@pytest.mark.parametrize(("replicas", "autoscaling"), [(2, None), (1, object())])
def test_several_would_each_give_all_slots_away(
    monkeypatch: pytest.MonkeyPatch, replicas: int, autoscaling: Any
) -> None:
    with pytest.raises(SeveralRoutersError, match="num_replicas: 1"):
        _start(monkeypatch, replicas, autoscaling)
