"""What a file's deployments ask for, by Serve's own rules."""

from typing import Any

import pytest

from serve_app.resources.needs import need, needs

GPU = {"GPU": 1.0}

CASES: list[tuple[str, dict[str, Any], tuple[tuple[dict[str, float], ...], ...], int]] = [
    ("nothing is said", {}, (({"CPU": 1.0},),), 1),
    ("a part of a CPU", {"ray_actor_options": {"num_cpus": 0.2, "num_gpus": 0}}, (({"CPU": 0.2},),), 1),
    ("no CPU", {"ray_actor_options": {"num_cpus": 0}, "num_replicas": 3}, (({},),), 3),
    (
        "all kinds",
        {
            "ray_actor_options": {
                "num_gpus": 1,
                "accelerator_type": "A100",
                "memory": 1 << 30,
                "resources": {"tpu": 2, "none": 0},
            }
        },
        (({"CPU": 1.0, "GPU": 1.0, "memory": float(1 << 30), "accelerator_type:A100": 0.001, "tpu": 2.0},),),
        1,
    ),
    ("bundles", {"placement_group_bundles": [{"CPU": 1}, GPU]}, (({"CPU": 1},), (GPU,)), 1),
    (
        "bundles on one node, in the place of the actor's own",
        {
            "placement_group_bundles": [GPU, GPU],
            "placement_group_strategy": "STRICT_PACK",
            "ray_actor_options": {"num_cpus": 0},
        },
        ((GPU, GPU),),
        1,
    ),
    ("scaled from one", {"num_replicas": "auto"}, (({"CPU": 1.0},),), 1),
    ("scaled from two", {"autoscaling_config": {"min_replicas": 2, "max_replicas": 4}}, (({"CPU": 1.0},),), 2),
    ("scaled from none", {"autoscaling_config": {"min_replicas": 0}}, (({"CPU": 1.0},),), 0),
    ("none at all", {"num_replicas": 0}, (({"CPU": 1.0},),), 0),
]


@pytest.mark.parametrize(("entry", "groups", "replicas"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_one_deployment(entry: dict[str, Any], groups: Any, replicas: int) -> None:
    found = need("app", "model-a", entry)
    assert found.groups == groups
    assert found.replicas == replicas


def test_bundles_on_nodes_apart() -> None:
    entry = {"placement_group_bundles": [GPU, GPU], "placement_group_strategy": "STRICT_SPREAD"}
    assert need("app", "model-a", entry).apart


def test_an_application() -> None:
    application = {
        "name": "app",
        "deployments": [
            {"name": "model-b", "ray_actor_options": {"num_gpus": 0.5, "accelerator_type": "T4"}},
            {"name": "of-other-code", "num_replicas": 2},
        ],
    }
    found = needs(
        application,
        {
            "Ingress": {},
            "model-b": {"ray_actor_options": {"num_cpus": 9}},
            "model-c": {"placement_group_bundles": [{"CPU": 1, "GPU": 1}], "ray_actor_options": {"num_cpus": 1}},
        },
    )
    assert [(each.deployment, each.asks) for each in found] == [
        ("Ingress", "num_cpus: 1 (Serve's default)"),
        ("model-b", "num_cpus: 1 (Serve's default), num_gpus: 0.5, accelerator_type: T4"),
        ("model-c", "placement_group_bundles: [{'CPU': 1, 'GPU': 1}], placement_group_strategy: PACK"),
    ]
    assert [each.gpus() for each in found] == [0, 0.5, 1]
    assert {each.application for each in found} == {"app"}
