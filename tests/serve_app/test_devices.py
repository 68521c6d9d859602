"""What `sluice check` says of devices, without a cluster."""

from typing import Any

import pytest

from serve_app.config import ApplicationArgs
from serve_app.devices import device_problems, device_warnings

HUB = "org/model"

CASES: list[tuple[str, str, dict[str, Any], dict[str, Any], str | None]] = [
    ("a simulated engine", "simulated", {}, {}, None),
    ("with a GPU", "simulated", {}, {"ray_actor_options": {"num_gpus": 1}}, "a simulated engine has no use for it"),
    ("left to Ray", "transformers", {"model": HUB}, {"ray_actor_options": {"num_gpus": 0.5}}, None),
    ("left to Ray, on the CPU", "transformers", {"model": HUB}, {}, None),
    ("CUDA by name", "transformers", {"model": HUB, "device": "cuda"}, {"ray_actor_options": {"num_gpus": 1}}, None),
    (
        "CUDA without a GPU",
        "transformers",
        {"model": HUB, "device": "cuda:0"},
        {"ray_actor_options": {"num_gpus": 0}},
        "device: cuda:0 with num_gpus: 0 cannot start",
    ),
    ("CUDA and nothing said", "transformers", {"model": HUB, "device": "cuda"}, {}, "with num_gpus: 0 cannot start"),
    (
        "the CPU with a GPU",
        "transformers",
        {"model": HUB, "device": "cpu"},
        {"ray_actor_options": {"num_gpus": 1}},
        "device: cpu has no use for it",
    ),
    (
        "GPUs in bundles",
        "transformers",
        {"model": HUB, "device": "cuda"},
        {"placement_group_bundles": [{"CPU": 1, "GPU": 1}]},
        None,
    ),
]


@pytest.mark.parametrize(
    ("kind", "options", "entry", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_warnings(kind: str, options: dict[str, Any], entry: dict[str, Any], told: str | None) -> None:
    args = ApplicationArgs.model_validate({"models": [{"name": "a", "engine": {"kind": kind, "options": options}}]})
    found = device_warnings(args, [{"name": "model-a", **entry}])
    assert (found == []) if told is None else (len(found) == 1 and told in found[0]), found
    assert all(text.startswith("model-a: ") for text in found)


@pytest.mark.parametrize(
    ("gpus", "right"), [(0, True), (0.5, True), (1.0, True), (3, True), (1.5, False), (2.25, False)]
)
def test_a_part_of_a_gpu_is_of_one(gpus: float, right: bool) -> None:
    found = list(device_problems([{"name": "model-a", "ray_actor_options": {"num_gpus": gpus}}], ("deployments",)))
    assert [problem.path for problem in found] == (
        [] if right else [("deployments", 0, "ray_actor_options", "num_gpus")]
    )
    assert all(f"{gpus:g}: a part of a GPU is of one GPU" in problem.text for problem in found)
