"""What a file asks of devices that makes no sense, as far as it shows without a cluster.

What the cluster has is compared with what is asked in `serve_app.resources`, once there is one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serve_app.config import ApplicationArgs, ModelSettings, model_deployment_name
from serve_app.schema_check import Problem
from serve_app.yaml_reader import KeyPath


def device_problems(deployments: Sequence[Any], path: KeyPath) -> Iterator[Problem]:
    """What Ray would refuse when the first replica is to start."""
    for index, deployment in enumerate(deployments):
        options = deployment.get("ray_actor_options") if isinstance(deployment, dict) else None
        gpus = options.get("num_gpus") if isinstance(options, dict) else None
        if isinstance(gpus, float) and gpus > 1 and gpus != int(gpus):
            yield Problem(
                (*path, index, "ray_actor_options", "num_gpus"),
                f"{gpus:g}: a part of a GPU is of one GPU; write a fraction below 1, or a whole number",
            )


def device_warnings(args: ApplicationArgs, deployments: Sequence[Mapping[str, Any]]) -> list[str]:
    """What will start, and hardly is what was meant."""
    entries = {entry["name"]: entry for entry in deployments}
    found = []
    for model in args.models:
        name = model_deployment_name(model.name)
        entry = entries.get(name, {})
        if entry.get("placement_group_bundles"):
            continue  # its GPUs stand in the bundles, and the engine's workers take them from there
        gpus = (entry.get("ray_actor_options") or {}).get("num_gpus") or 0
        text = _mismatch(model, gpus)
        if text:
            found.append(f"{name}: {text}")
    return found


def _mismatch(model: ModelSettings, gpus: float) -> str | None:
    kind, device = model.engine.kind, str(model.engine.options.get("device", ""))
    if kind == "simulated" and gpus:
        return f"num_gpus: {gpus:g} is kept from other models, and a simulated engine has no use for it"
    if device.startswith("cuda") and not gpus:
        return (
            f"device: {device} with num_gpus: 0 takes a GPU that Ray may give to others, and fails where there is none; "
            "write how many it needs in ray_actor_options.num_gpus, and device: auto"
        )
    if device == "cpu" and gpus:
        return f"num_gpus: {gpus:g} is kept from other models, and device: cpu has no use for it"
    return None
