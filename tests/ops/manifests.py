"""What stands in ops/kubernetes, read as Kubernetes would be given it."""

from pathlib import Path
from typing import Any

import yaml

OPS = Path(__file__).parents[2] / "ops"
KUBERNETES = OPS / "kubernetes"

Manifest = dict[str, Any]

OF_KUBERAY = {"app.kubernetes.io/name": "kuberay", "app.kubernetes.io/created-by": "kuberay-operator"}
"""Labels that KubeRay gives each pod where its template has none of that name, and that it looks for itself."""


def manifests() -> list[Manifest]:
    """Every object of the files that kustomization.yaml names, with the ConfigMap that ops/redis makes."""
    found: list[Manifest] = []
    for resource in yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]:
        path = KUBERNETES / resource
        found += [_made(path)] if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    return found


def _made(folder: Path) -> Manifest:
    (generator,) = yaml.safe_load((folder / "kustomization.yaml").read_text())["configMapGenerator"]
    data = {name: (folder / name).read_text() for name in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}


def of_kind(kind: str) -> dict[str, Manifest]:
    """Those of one kind, by name."""
    return {each["metadata"]["name"]: each for each in manifests() if each["kind"] == kind}


def ray_service() -> Manifest:
    """Its `spec`."""
    spec: Manifest = of_kind("RayService")["sluice"]["spec"]
    return spec


def pod_templates() -> dict[str, Manifest]:
    """Every pod that there will be, with the labels that KubeRay gives."""
    cluster = ray_service()["rayClusterConfig"]
    templates = {"head": _labelled(cluster["headGroupSpec"]["template"], "head", "headgroup")}
    for group in cluster["workerGroupSpecs"]:
        templates[group["groupName"]] = _labelled(group["template"], "worker", group["groupName"])
    templates |= {name: each["spec"]["template"] for name, each in of_kind("StatefulSet").items()}
    return templates


def _labelled(template: Manifest, node_type: str, group: str) -> Manifest:
    labels = {**OF_KUBERAY, **template["metadata"]["labels"], "ray.io/node-type": node_type, "ray.io/group": group}
    return {**template, "metadata": {"labels": labels}}


def selected(selector: Manifest) -> set[str]:
    """The pods that a selector of labels means."""
    wanted = selector.get("matchLabels", {})
    return {
        name for name, template in pod_templates().items() if wanted.items() <= template["metadata"]["labels"].items()
    }
