"""Asks Ray what the cluster has, and Serve what is being deployed, and refuses what cannot be placed.

`serve_app:build` runs as a Ray task while Serve deploys a file. It is given `args` alone, but Serve has kept the whole
file by then, its deployments' options included, so it can be asked for: that is how a plain `serve run` or `serve
deploy` says what is wrong. A change of nothing but deployments' options builds nothing anew, and is not seen here.
"""

import logging
import os
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.serve.context import _get_global_client

from serve_app.config import ApplicationArgs, deployments_of
from serve_app.config_file import IMPORT_PATH
from serve_app.errors import ResourcesLackingError
from serve_app.resources.needs import Need, Resources, needs
from serve_app.resources.shortage import explain, shortages

ASK_S = 5.0
"""How long Serve's controller may take to tell what it deploys."""

NODE_GROUP_LABEL = "ray.io/node-group"
"""A label of nodes that something else than a person at a terminal has started: KubeRay, Ray's cluster launcher."""

KUBERAY = "RAY_USAGE_STATS_KUBERAY_IN_USE"
"""Stands in the environment of every pod that KubeRay starts."""

_WAY_OUT = "If nodes will be added to this cluster later, set args.missing_resources: warn."

_log = logging.getLogger("ray.serve")
"""What it says is seen at the terminal of `serve run`, and in the log of Serve's controller."""


def require_resources(args: ApplicationArgs) -> None:
    """Raises `ResourcesLackingError` where what is being deployed can never be placed; warns where the cluster may
    grow. Does nothing outside of a deployment of a file."""
    asked = _asked(args)
    nodes = cluster_nodes()
    found = shortages(asked, nodes)
    if not found:
        return
    message = explain(found, nodes)
    why = {"auto": grows(), "refuse": None, "warn": "missing_resources is warn"}[args.missing_resources]
    if why is None:
        raise ResourcesLackingError(f"{message}\n{_WAY_OUT}")
    _log.warning("%s\nReplicas that find no place wait for more nodes: %s.", message, why)


def cluster_nodes() -> list[Resources]:
    """What each node that is alive has in all."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def grows() -> str | None:
    """What tells that nodes may come by themselves; None where nothing does."""
    if os.environ.get(KUBERAY):
        return "KubeRay runs it"
    if any(node["Alive"] and node["Labels"].get(NODE_GROUP_LABEL) for node in ray.nodes()):
        return "its nodes belong to node groups"
    if ray._private.state.state.get_cluster_config() is not None:
        return "it has an autoscaler's configuration"
    return None


def _asked(args: ApplicationArgs) -> list[Need]:
    """What everything asks for that Serve is to run, if it deploys a file with this application in it."""
    details = _details()
    if details is None or details.get("target_capacity") is not None:
        return []  # with a target capacity Serve itself decides how many replicas are enough
    configs = [
        application["deployed_app_config"]
        for application in details["applications"].values()
        if application.get("deployed_app_config")
    ]
    if not any(_is_this(config, args) for config in configs):
        return []
    return [each for config in configs for each in needs(config, _known_deployments(config))]


def _details() -> dict[str, Any] | None:
    client = _get_global_client(raise_if_no_controller_running=False)
    if client is None:
        return None
    try:
        details: dict[str, Any] = ray.get(client._controller.get_serve_instance_details.remote(), timeout=ASK_S)
    except (RayError, GetTimeoutError):
        _log.warning("Serve does not tell what it deploys: whether the cluster has what it asks for is not checked")
        return None
    return details


def _known_deployments(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    if config["import_path"] != IMPORT_PATH:
        return {}
    return deployments_of(ApplicationArgs.model_validate(config.get("args") or {}))


def _is_this(config: dict[str, Any], args: ApplicationArgs) -> bool:
    return bool(config["import_path"] == IMPORT_PATH) and args == ApplicationArgs.model_validate(
        config.get("args") or {}
    )
