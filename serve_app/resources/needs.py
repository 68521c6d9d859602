"""What deployments ask for, read from an application as it stands in a Ray Serve config.

Serve's own rules are followed: a replica asks for 1 CPU where nothing is said, and for its placement group's bundles
instead where it has one. What else narrows the choice of nodes (label selectors, gangs) is left out: less is asked for
than in truth, and so nothing is refused that Ray could place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Resources = Mapping[str, float]
"""By Ray's names: `{"CPU": 0.5, "GPU": 1, "accelerator_type:A100": 0.001}`; memory in bytes."""

Group = tuple[Resources, ...]
"""Parts that must be on one node."""

DEFAULT_NUM_CPUS = 1.0
"""Of a replica of which nothing else is said."""

ACCELERATOR = "accelerator_type:"
"""First part of the resource that a node with such an accelerator has."""

ACCELERATOR_SHARE = 0.001
"""How much of it a replica takes: as good as nothing, so that any number of them find room."""

_OPTIONS = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}


@dataclass(frozen=True, slots=True)
class Need:
    """What one deployment asks for."""

    application: str
    deployment: str
    asks: str
    """Of one replica, as the file has it: `num_cpus: 1, num_gpus: 1, accelerator_type: A100`."""
    groups: tuple[Group, ...]
    """Of one replica."""
    replicas: int = 1
    """The fewest that it is content with."""
    max_replicas_per_node: int | None = None
    apart: bool = False
    """Whether no two groups of one replica may be on the same node."""
    scales: bool = False
    """Whether it may have more replicas than its fewest."""

    def gpus(self) -> float:
        """Of one replica."""
        return sum(part.get("GPU", 0) for group in self.groups for part in group)


def needs(application: Mapping[str, Any], ours: Mapping[str, Mapping[str, Any]]) -> list[Need]:
    """What every deployment asks for: those of the file, and `ours`, whose graph is known: what the code says of each
    of them, in the file's words; the file overrides it.

    Of a deployment that stands in the file without saying what it needs, and is not among `ours`, nothing is known: its
    code may say it. It is left out.
    """
    name = application.get("name", "default")
    entries = {entry["name"]: entry for entry in application.get("deployments") or []}
    return [
        need(name, deployment, {**ours.get(deployment, {}), **entries.get(deployment, {})})
        for deployment in [*ours, *(entry for entry in entries if entry not in ours)]
        if deployment in ours or _says_what_it_needs(entries[deployment])
    ]


def need(application: str, deployment: str, entry: Mapping[str, Any]) -> Need:
    """What one deployment asks for, by its entry in the file."""
    options = entry.get("ray_actor_options") or {}
    bundles = entry.get("placement_group_bundles")
    strategy = entry.get("placement_group_strategy") or "PACK"
    if bundles:
        asks = f"placement_group_bundles: {bundles}, placement_group_strategy: {strategy}"
        packed = strategy == "STRICT_PACK"
        groups: tuple[Group, ...] = (tuple(bundles),) if packed else tuple((bundle,) for bundle in bundles)
    else:
        asked, groups = _asked(options), ((_resources(options),),)
        asks = ", ".join(f"{key}: {_number(value)}" for key, value in asked.items())
    replicas, scales = _replicas(entry)
    return Need(
        application=application,
        deployment=deployment,
        asks=asks,
        groups=groups,
        replicas=replicas,
        max_replicas_per_node=entry.get("max_replicas_per_node"),
        apart=bool(bundles) and strategy == "STRICT_SPREAD",
        scales=scales,
    )


def _says_what_it_needs(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("ray_actor_options") or entry.get("placement_group_bundles"))


def _asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are about resources, as the file has them; what Serve adds is said."""
    cpus = options.get("num_cpus")
    asked: dict[str, Any] = {"num_cpus": "1 (Serve's default)" if cpus is None else cpus}
    for key in ("num_gpus", "memory", "accelerator_type"):
        if options.get(key):
            asked[key] = options[key]
    return {**asked, **{f"resources.{key}": value for key, value in (options.get("resources") or {}).items() if value}}


def _resources(options: Mapping[str, Any]) -> Resources:
    found = {key: options.get(option) for option, key in _OPTIONS.items()}
    if found["CPU"] is None:
        found["CPU"] = DEFAULT_NUM_CPUS
    if options.get("accelerator_type"):
        found[f"{ACCELERATOR}{options['accelerator_type']}"] = ACCELERATOR_SHARE
    found.update(options.get("resources") or {})
    return {key: float(value) for key, value in found.items() if value}


def _replicas(entry: Mapping[str, Any]) -> tuple[int, bool]:
    """How many it must have, and whether it may have more."""
    autoscaling, fixed = entry.get("autoscaling_config"), entry.get("num_replicas")
    if autoscaling or fixed == "auto":
        least = (autoscaling or {}).get("min_replicas", 1)
        return (1 if least is None else int(least)), True
    return (1 if fixed is None else int(fixed)), False


def _number(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value
