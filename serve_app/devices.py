"""What a file asks of devices that makes no sense, as far as it shows without a cluster.

What the cluster has is compared with what is asked in `serve_app.resources`, once there is one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serve_app.config import ApplicationArgs, ModelSettings, deployments_of, model_deployment_name
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
    """What is no mistake of form, and will not do what was meant."""
    entries = {entry["name"]: entry for entry in deployments}
    by_code = deployments_of(args)
    found = []
    for model in args.models:
        name = model_deployment_name(model.name)
        entry = entries.get(name, {})
        gpus = (entry.get("ray_actor_options") or {}).get("num_gpus") or 0
        needed, given = _bundle_gpus(by_code[name]), _bundle_gpus(entry)
        if needed is not None:
            text = _against_bundles(gpus, needed, given)
        else:
            text = None if given else _mismatch(model, gpus)
        if text:
            found.append(f"{name}: {text}")
    return found


def _bundle_gpus(entry: Mapping[str, Any]) -> float | None:
    bundles = entry.get("placement_group_bundles")
    return None if not bundles else sum(bundle.get("GPU", 0) for bundle in bundles)


def _against_bundles(gpus: float, needed: float, given: float | None) -> str | None:
    """For an engine whose options say how many GPUs its workers take."""
    if given is not None and given < needed:
        return f"placement_group_bundles have {given:g} GPUs, and the engine's options ask for {needed:g}"
    if gpus:
        return f"num_gpus: {gpus:g} has no effect: the engine's options ask for {needed:g}, in a placement group"
    return None


def _mismatch(model: ModelSettings, gpus: float) -> str | None:
    kind, device = model.engine.kind, str(model.engine.options.get("device", ""))
    if kind == "simulated" and gpus:
        return f"num_gpus: {gpus:g} is kept from other models, and a simulated engine has no use for it"
    if device.startswith("cuda") and not gpus:
        return (
            f"device: {device} with num_gpus: 0 cannot start, for a replica sees no GPU but those that Ray gave it; "
            "write how many in ray_actor_options.num_gpus"
        )
    if device == "cpu" and gpus:
        return f"num_gpus: {gpus:g} is kept from other models, and device: cpu has no use for it"
    return None
