"""ops/kubernetes: valid by Kubernetes' published schemas, and whole: what one file names, another has.

There is no cluster here. Kubernetes' own objects, and every pod template, are checked strictly against the schemas in
the wheel of kubernetes-validate. KubeRay publishes its definition in no package, so for what is around the pods of a
RayService the fields and types of its API reference (v1.6) stand below; what the operator does with them is not shown.
"""

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from serve_app.config_file import read_serve_config
from serve_app.fast_lane import FAST_LANE
from tests.ops.manifests import (
    KUBERNETES,
    OF_KUBERAY,
    OPS,
    Manifest,
    manifests,
    of_kind,
    pod_templates,
    ray_service,
    selected,
)

VERSION = "1.37"
NAMESPACE = "sluice"
MADE_BY_HAND = {"sluice-redis", "sluice-redis-tls", "sluice-redis-client-tls"}
"""Secrets, as docs/kubernetes.md has them made."""

ANY_POD = object()
RAY: dict[str, Any] = {
    "excludeHeadPodFromServeSvc": bool,
    "upgradeStrategy": {"type": ("NewCluster", "None")},
    "serveConfigV2": str,
    "rayClusterConfig": {
        "rayVersion": str,
        "authOptions": {"mode": ("token", "disabled")},
        "enableInTreeAutoscaling": bool,
        "autoscalerOptions": {
            "version": ("v1", "v2"),
            "idleTimeoutSeconds": int,
            "resources": dict,
            "securityContext": dict,
        },
        "headGroupSpec": {
            "serviceType": ("ClusterIP", "NodePort", "LoadBalancer"),
            "rayStartParams": dict,
            "template": ANY_POD,
        },
        "workerGroupSpecs": [
            {
                "groupName": str,
                "replicas": int,
                "minReplicas": int,
                "maxReplicas": int,
                "rayStartParams": dict,
                "template": ANY_POD,
            }
        ],
    },
}
"""Of a RayService's `spec` the fields in use: their types, or the values that are accepted."""


@pytest.mark.parametrize(
    "manifest",
    [each for each in manifests() if each["kind"] != "RayService"],
    ids=lambda each: f"{each['kind']}/{each['metadata']['name']}",
)
def test_it_is_valid(manifest: Manifest) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    budget = of_kind("PodDisruptionBudget")["sluice-redis"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**budget, "spec": {**budget["spec"], "maxUnavailabel": 1}}, VERSION, strict=True)


@pytest.mark.parametrize("name", list(pod_templates()))
def test_a_pod_is_valid(name: str) -> None:
    template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {}, "template": pod_templates()[name]}
    kubernetes_validate.validate(template, VERSION, strict=True)


def test_the_ray_service_has_kuberays_fields() -> None:
    assert list(_unlike(ray_service(), RAY, "spec")) == []
    cluster = ray_service()["rayClusterConfig"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    for name, value in (
        ("resources", cluster["autoscalerOptions"]["resources"]),
        ("securityContext", cluster["autoscalerOptions"]["securityContext"]),
    ):
        container = {"name": "autoscaler", "image": "x", name: value}
        template = {"metadata": {}, "spec": {"containers": [container]}}
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {}, "template": template}
        kubernetes_validate.validate(pod, VERSION, strict=True)


def _unlike(value: Any, wanted: Any, path: str) -> Any:
    if wanted is ANY_POD:
        return
    if isinstance(wanted, dict):
        for key, inner in value.items():
            if key in wanted:
                yield from _unlike(inner, wanted[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: no such field"
    elif isinstance(wanted, list):
        for each in value:
            yield from _unlike(each, wanted[0], path)
    elif isinstance(wanted, tuple):
        if value not in wanted:
            yield f"{path}: {value!r}"
    elif not isinstance(value, wanted):
        yield f"{path}: {value!r}"


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """What Ray Serve is given, as `sluice check` finds it."""
    (path := tmp_path / "serve_config.yaml").write_text(ray_service()["serveConfigV2"])
    read_serve_config(path)
    return yaml.safe_load(path.read_text())


def test_the_head_takes_no_work_and_ingress_replicas_are_spread(config: Any) -> None:
    head = ray_service()["rayClusterConfig"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert ray_service()["excludeHeadPodFromServeSvc"] is True
    assert config["proxy_location"] == "EveryNode"
    (ingress,) = [each for each in _deployments(config) if each["name"] == "Ingress"]
    groups = {group["groupName"]: group for group in ray_service()["rayClusterConfig"]["workerGroupSpecs"]}
    assert ingress["max_replicas_per_node"] == 1
    assert ingress["num_replicas"] <= groups["ingress"]["minReplicas"]
    (gpu,) = [each for each in _deployments(config) if each["name"] == "model-chat"]
    assert gpu["autoscaling_config"]["max_replicas"] <= groups["gpu"]["maxReplicas"]


def _deployments(config: Any) -> list[Any]:
    deployments: list[Any] = config["applications"][0]["deployments"]
    return deployments


def test_kuberay_finds_what_it_makes_its_services_from() -> None:
    """Those of a RayService select the head by labels that are KubeRay's own, and have the ports that the head's
    container names: without one named `serve` KubeRay makes no Service for clients (`BuildServeService`)."""
    assert selected({"matchLabels": {**OF_KUBERAY, "ray.io/node-type": "head"}}) == {"head"}
    ports = {each["name"]: each["containerPort"] for each in pod_templates()["head"]["spec"]["containers"][0]["ports"]}
    config = yaml.safe_load(ray_service()["serveConfigV2"])
    assert ports["serve"] == config["http_options"]["port"]
    assert ports["dashboard"] == 8265


def test_whoever_counts_or_runs_a_models_tokens_may_fetch_its_files() -> None:
    """An ingress replica counts a prompt by the model's own tokenizer, and fetches that."""
    assert selected(of_kind("NetworkPolicy")["models"]["spec"]["podSelector"]) == {"ingress", "gpu"}


def test_a_pod_outlives_the_replies_that_it_still_gives(config: Any) -> None:
    longest = max(each.get("graceful_shutdown_timeout_s", 20) for each in _deployments(config))
    for name in ("ingress", "gpu"):
        assert pod_templates()[name]["spec"]["terminationGracePeriodSeconds"] > longest


def test_the_redis_of_the_configuration_is_the_one_that_is_there(config: Any) -> None:
    redis = config["applications"][0]["args"]["redis"]
    (redis_set,) = of_kind("StatefulSet").values()
    headless = of_kind("Service")[redis_set["spec"]["serviceName"]]
    assert headless["spec"]["clusterIP"] == "None"
    hosts = [
        f"{redis_set['metadata']['name']}-{n}.{headless['metadata']['name']}.{NAMESPACE}.svc.cluster.local"
        for n in range(redis_set["spec"]["replicas"])
    ]
    assert redis["url"] == f"rediss+sentinel://{','.join(f'{host}:26379' for host in hosts)}/sluice"
    for container in redis_set["spec"]["template"]["spec"]["containers"]:
        environment = {each["name"]: each.get("value") for each in container["env"]}
        assert environment["PEERS"].split() == [f"{host}:6379:26379" for host in hosts]
        assert environment["SELF"] == f"$(POD).{hosts[0].partition('.')[2]}"


def test_every_file_that_the_ingress_reads_is_mounted_where_it_may_run(config: Any) -> None:
    redis = config["applications"][0]["args"]["redis"]
    paths = [value for name, value in redis.items() if name.endswith("_file")]
    assert len(paths) == 5
    for name in ("ingress", "gpu"):
        spec = pod_templates()[name]["spec"]
        mounts = {each["mountPath"]: each["name"] for each in spec["containers"][0]["volumeMounts"]}
        volumes = {each["name"]: each["secret"] for each in spec["volumes"]}
        for path in paths:
            folder, _, file = path.rpartition("/")
            secret = volumes[mounts[folder]]
            assert secret["secretName"] in MADE_BY_HAND
            keys = [item["path"] for item in secret.get("items", [])] or ["ca.crt", "tls.crt", "tls.key"]
            assert file in keys


def test_what_pods_mount_is_there() -> None:
    maps = of_kind("ConfigMap")
    for template in pod_templates().values():
        spec = template["spec"]
        volumes = {each["name"] for each in spec.get("volumes", [])} | {"data"}  # that one is claimed
        for container in spec["containers"]:
            assert {each["name"] for each in container.get("volumeMounts", [])} <= volumes
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in maps
        for volume in spec.get("volumes", []):
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps
            if "secret" in volume:
                assert volume["secret"]["secretName"] in MADE_BY_HAND
    page = (OPS.parent / "docs" / "kubernetes.md").read_text()
    assert all(f"create secret generic {secret} " in page for secret in MADE_BY_HAND)


def test_there_is_no_secret_in_the_files() -> None:
    """No object holds one, and no password is passed by an argument or an environment."""
    assert "Secret" not in {each["kind"] for each in manifests()}
    assert not re.search(r"secretKeyRef|nopass", "".join(path.read_text() for path in KUBERNETES.iterdir()))
    assert "password:" not in json.dumps(manifests())


@pytest.mark.parametrize("name", list(pod_templates()))
def test_a_pod_is_confined(name: str) -> None:
    """As the namespace's Pod Security level, `restricted`, wants it, or it would not start."""
    spec = pod_templates()[name]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert name == "head" or spec["automountServiceAccountToken"] is False  # the autoscaler needs it
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]
        assert "readinessProbe" in container
        assert "livenessProbe" in container
    (namespace,) = of_kind("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_redis_refuses_before_its_pod_is_ended() -> None:
    """Half as much again is left of the pod's memory, for the fork that rewrites the append-only file."""
    conf = (OPS / "redis" / "redis.conf").read_text()
    (maxmemory,) = re.findall(r"^maxmemory (\d+)mb$", conf, re.MULTILINE)
    redis = next(each for each in pod_templates()["sluice-redis"]["spec"]["containers"] if each["name"] == "redis")
    (gib,) = re.findall(r"^(\d+)Gi$", redis["resources"]["limits"]["memory"])
    assert int(maxmemory) * 1.5 <= int(gib) * 1024
    assert "maxmemory-policy noeviction" in conf


def test_every_pod_has_a_budget() -> None:
    """That of ingress nodes and of Redis a drain can always meet; what it is with head and GPU, the file says."""
    budgets = [each["spec"] for each in of_kind("PodDisruptionBudget").values()]
    covered = [selected(budget["selector"]) for budget in budgets]
    assert sorted(name for names in covered for name in names) == sorted(pod_templates())
    for budget, names in zip(budgets, covered, strict=True):
        # Only a controller that Kubernetes can ask for a number may say how many go.
        assert ("maxUnavailable" in budget) == (names == {"sluice-redis"})
    groups = {group["groupName"]: group for group in ray_service()["rayClusterConfig"]["workerGroupSpecs"]}
    assert of_kind("PodDisruptionBudget")["sluice-ingress"]["spec"]["minAvailable"] < groups["ingress"]["minReplicas"]


def test_nobody_from_outside_reaches_more_than_is_said() -> None:
    policies = of_kind("NetworkPolicy")
    nothing = policies["nothing-else"]["spec"]
    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    let_in: dict[str, set[int]] = {}
    for policy in policies.values():
        for rule in policy["spec"].get("ingress", []):
            outside = [each for each in rule["from"] if "namespaceSelector" in each]
            assert not outside or "ports" in rule
            for each in outside:
                (label,) = each["namespaceSelector"]["matchLabels"].items()
                ports = let_in.setdefault("=".join(label), set())
                ports |= {port["port"] for port in rule["ports"]}
                assert selected(policy["spec"]["podSelector"]) == {"head", "ingress", "gpu"}
    assert let_in == {
        "sluice-clients=true": {8000},
        "kubernetes.io/metadata.name=kuberay-system": {8265, 8000},
        "kubernetes.io/metadata.name=monitoring": {8080, 9101},
    }
    (redis_rule,) = policies["redis"]["spec"]["ingress"]
    who = set().union(*(selected(each["podSelector"]) for each in redis_rule["from"]))
    assert who == {"sluice-redis", "ingress", "gpu"}


def test_the_environment_is_that_of_the_fast_lane() -> None:
    """But for what is for one machine (`sluice up`) and what KubeRay sets itself."""
    here = of_kind("ConfigMap")["sluice-environment"]["data"]
    for_one_machine = {
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
        "RAY_SERVE_SLOW_STARTUP_WARNING_S",
        "RAY_COLOR_PREFIX",
    }
    assert here == {name: value for name, value in FAST_LANE.items() if name not in {*for_one_machine, "RAY_AUTH_MODE"}}
    cluster = ray_service()["rayClusterConfig"]
    assert cluster["authOptions"]["mode"] == FAST_LANE["RAY_AUTH_MODE"]
    assert cluster["rayVersion"] == importlib.metadata.version("ray")
