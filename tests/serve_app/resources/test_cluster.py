"""What is asked of Ray and Serve, and what follows; on a real Ray, tests/integration/test_resources.py."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import GetTimeoutError

from serve_app.config import ApplicationArgs
from serve_app.errors import ResourcesLackingError
from serve_app.resources import cluster

ARGS = {"models": [{"name": "a"}]}
LAPTOP = {"Alive": True, "Resources": {"CPU": 4.0}, "Labels": {}}
GONE = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}, "Labels": {cluster.NODE_GROUP_LABEL: "workers"}}


class Ray:
    """A cluster, and what Serve deploys on it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.nodes: list[dict[str, Any]] = [LAPTOP, GONE]
        self.details: Any = None
        self.cluster_config: Any = None
        controller = SimpleNamespace(get_serve_instance_details=SimpleNamespace(remote=lambda: "details"))
        patch.setattr(cluster, "_get_global_client", lambda **_: SimpleNamespace(_controller=controller))
        patch.setattr(ray, "get", self._get)
        patch.setattr(ray, "nodes", lambda: self.nodes)
        patch.setattr(ray._private.state.state, "get_cluster_config", lambda: self.cluster_config)
        patch.delenv(cluster.KUBERAY, raising=False)

    def _get(self, asked: str, timeout: float) -> Any:
        assert (asked, timeout) == ("details", cluster.ASK_S)
        if self.details is None:
            raise GetTimeoutError
        return self.details

    def deploys(self, *configs: dict[str, Any], target_capacity: float | None = None) -> None:
        applications = {config["name"]: {"deployed_app_config": config} for config in configs}
        self.details = {"target_capacity": target_capacity, "applications": applications}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Ray:
    return Ray(monkeypatch)


def config(gpus: float = 0, **fields: Any) -> dict[str, Any]:
    deployments = [{"name": "model-a", "ray_actor_options": {"num_cpus": 0.1, "num_gpus": gpus}}]
    return {"name": "app", "import_path": "serve_app:build", "args": ARGS, "deployments": deployments, **fields}


def require(**args: Any) -> None:
    cluster.require_resources(ApplicationArgs.model_validate({**ARGS, **args}))


def test_what_fits(asked: Ray) -> None:
    asked.deploys(config())
    require()


def test_what_does_not(asked: Ray) -> None:
    asked.deploys(config(gpus=1))
    with pytest.raises(ResourcesLackingError, match=r"(?s)'model-a' of application 'app'.*missing_resources: warn\.$"):
        require()


def test_what_the_file_does_not_name_asks_for_a_cpu(asked: Ray) -> None:
    asked.nodes = [{**LAPTOP, "Resources": {"CPU": 1.0}}]
    asked.deploys(config())
    with pytest.raises(ResourcesLackingError, match=r"2\.1 of 1 num_cpus.*Ingress.*ModelRouter"):
        require()


def test_other_applications_of_the_file_count(asked: Ray) -> None:
    other = {
        "name": "other",
        "import_path": "theirs:app",
        "deployments": [{"name": "Big", "ray_actor_options": {"num_cpus": 3}}, {"name": "Unknown"}],
    }
    asked.deploys(config(), other)
    with pytest.raises(ResourcesLackingError, match=r"5\.1 of 4 num_cpus"):
        require()


@pytest.mark.parametrize("of", ["another", "none", "no serve", "no answer", "target capacity"])
def test_nothing_is_said_where_nothing_is_known(asked: Ray, of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if of == "another":
        asked.deploys(config(gpus=1, args={"models": [{"name": "b"}]}))
    elif of == "none":
        asked.deploys()
    elif of == "no serve":
        monkeypatch.setattr(cluster, "_get_global_client", lambda **_: None)
    elif of == "target capacity":
        asked.deploys(config(gpus=1), target_capacity=0)
    require()


@pytest.mark.parametrize("by", ["KubeRay", "a node group", "an autoscaler", "the configuration"])
def test_where_nodes_may_come_it_is_a_warning(
    asked: Ray, by: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked.deploys(config(gpus=1, args={**ARGS, "missing_resources": "warn"} if by == "the configuration" else ARGS))
    if by == "KubeRay":
        monkeypatch.setenv(cluster.KUBERAY, "1")
    elif by == "a node group":
        asked.nodes = [{**LAPTOP, "Labels": {cluster.NODE_GROUP_LABEL: "headgroup"}}]
    elif by == "an autoscaler":
        asked.cluster_config = object()
    monkeypatch.setattr(cluster, "_log", logging.getLogger("seen"))
    with caplog.at_level(logging.WARNING, "seen"):
        require(**({"missing_resources": "warn"} if by == "the configuration" else {}))
    assert "num_gpus (none has any)" in caplog.text
    assert "wait for more nodes" in caplog.text
    if by == "the configuration":
        return
    asked.deploys(config(gpus=1, args={**ARGS, "missing_resources": "refuse"}))
    with pytest.raises(ResourcesLackingError):
        require(missing_resources="refuse")
