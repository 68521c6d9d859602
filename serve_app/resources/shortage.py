"""What a cluster lacks for what deployments ask for, in words for the person who wrote the configuration."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serve_app.resources.needs import ACCELERATOR, Need, Resources
from serve_app.resources.packing import fits

_OPTION = {"CPU": "num_cpus", "GPU": "num_gpus"}
_ODD = ("object_store_memory", "node:")
"""What every node has of Ray's own and nobody asks for."""

_GIB = 1 << 30
_LISTED = 8
"""Most kinds of nodes, and most deployments, that a message lists."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """One thing that cannot be placed, whatever ends meanwhile: only more nodes, or asking for less, would help."""

    text: str
    lacking: tuple[str, ...]
    """Names of the resources, as far as single ones are at fault."""


def shortages(needs: Sequence[Need], nodes: Sequence[Resources]) -> list[Shortage]:
    """Everything that no placement can satisfy; empty where there is one, or where that could not be found out.

    `nodes`: what each of them has in all, whoever uses it now.
    """
    wanted = [need for need in needs if need.replicas or need.scales]
    alone = [shortage for need in wanted if (shortage := _one_replica(need, nodes)) is not None]
    return alone or _together([need for need in wanted if need.replicas], nodes)


def explain(found: Sequence[Shortage], nodes: Sequence[Resources]) -> str:
    """One message: what cannot be, what there is, what to do."""
    lines = [f"{shortage.text[0].upper()}{shortage.text[1:]}." for shortage in found]
    lines.append(f"The cluster has {_nodes_text(nodes)}.")
    lines += _advice({name for shortage in found for name in shortage.lacking}, nodes)
    return "\n".join(lines)


def _one_replica(need: Need, nodes: Sequence[Resources]) -> Shortage | None:
    who = f"deployment {need.deployment!r} of application {need.application!r} asks for {need.asks}"
    largest = _largest(nodes)
    lacking = tuple(
        sorted({name for group in need.groups for name, amount in _sum(group).items() if amount > largest.get(name, 0)})
    )
    if lacking:
        what = ", ".join(f"{_named(name)} ({_most(name, largest)})" for name in lacking)
        return Shortage(f"{who} for each replica, and no node has enough of {what}", lacking)
    if fits(need.groups, nodes) is False:
        return Shortage(f"{who} for each replica: each is there, but not together on one node", ())
    if need.apart and len(need.groups) > len(nodes):
        return Shortage(f"{who}: {len(need.groups)} nodes for each replica, and there are {len(nodes)}", ())
    most = need.max_replicas_per_node
    suitable = sum(any(fits([group], [node]) is not False for group in need.groups) for node in nodes)
    if most is not None and need.replicas > most * suitable:
        return Shortage(
            f"{who}: {need.replicas} replicas with max_replicas_per_node: {most}, "
            f"and {_count(suitable, 'node')} can take any",
            (),
        )
    return None


def _together(needs: Sequence[Need], nodes: Sequence[Resources]) -> list[Shortage]:
    groups = [group for need in needs for _ in range(need.replicas) for group in need.groups]
    if fits(groups, nodes) is not False:
        return []
    asked, there = _sum([part for group in groups for part in group]), _sum(nodes)
    lacking = tuple(sorted(name for name, amount in asked.items() if amount > there.get(name, 0) + 1e-9))
    listed = [f"{need.deployment} ({_count(need.replicas, 'replica')}: {need.asks})" for need in needs[:_LISTED]]
    if len(needs) > _LISTED:
        listed.append(f"and {len(needs) - _LISTED} more")
    if lacking:
        sums = ", ".join(
            f"{_amount(name, asked[name])} of {_amount(name, there.get(name, 0))} {_named(name)}" for name in lacking
        )
        text = f"all deployments together ask for more than there is: {sums}. They are {', '.join(listed)}"
    else:
        text = (
            "there is enough in all, but no way to place all replicas, each on one node (a replica that asks for a "
            f"part of a GPU gets it of one GPU): {', '.join(listed)}"
        )
    return [Shortage(text, lacking)]


def _advice(lacking: set[str], nodes: Sequence[Resources]) -> list[str]:
    lines = []
    accelerators = [name for name in lacking if name.startswith(ACCELERATOR)]
    if "GPU" in lacking or accelerators:
        lines.append(
            "Without a GPU: set ray_actor_options.num_gpus: 0 and remove accelerator_type (an engine with device: auto "
            "then runs on the CPU). With one that Ray has not found: say how many, as in `ray start --num-gpus=1`."
        )
    if accelerators:
        there = sorted({_named(name) for node in nodes for name in node if name.startswith(ACCELERATOR)})
        lines.append(f"Accelerators in this cluster: {', '.join(there) or 'none'}.")
    if "CPU" in lacking:
        lines.append(
            "Give each deployment a part of a CPU, as in ray_actor_options.num_cpus: 0.2; Serve asks for a whole one "
            "where nothing is said."
        )
    lines.append("Or add nodes, or have fewer replicas. docs/engines.md, GPUs, has more.")
    return lines


def _nodes_text(nodes: Sequence[Resources]) -> str:
    if not nodes:
        return "no node"
    kinds = Counter(_node_text(node) for node in nodes)
    listed = [f"{_count(count, 'node')} with {text}" for text, count in kinds.most_common(_LISTED)]
    if len(kinds) > _LISTED:
        listed.append(f"and {len(kinds) - _LISTED} other kinds of nodes")
    return "; ".join(listed)


def _node_text(node: Resources) -> str:
    own = {name: amount for name, amount in node.items() if not name.startswith(_ODD)}
    parts = [f"{_amount(name, own.pop(name, 0))} {name}" for name in ("CPU", "GPU")]
    parts += [f"{_amount(name, amount)} {_named(name)}" for name, amount in sorted(own.items()) if name == "memory"]
    others = [name for name in sorted(own) if name != "memory"]
    return ", ".join([*parts, *(_with_amount(name, own[name]) for name in others)])


def _with_amount(name: str, amount: float) -> str:
    return _named(name) if name.startswith(ACCELERATOR) else f"{amount:g} {name}"


def _most(name: str, largest: Mapping[str, float]) -> str:
    most = largest.get(name, 0)
    return f"the most is {_amount(name, most)}" if most else "none has any"


def _named(name: str) -> str:
    """A resource in the words of the file."""
    if name.startswith(ACCELERATOR):
        return f"accelerator_type: {name.removeprefix(ACCELERATOR)}"
    return _OPTION.get(name, name)


def _amount(name: str, amount: float) -> str:
    return f"{amount / _GIB:.1f} GiB" if name == "memory" else f"{round(amount, 4):g}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _sum(parts: Sequence[Resources]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for part in parts:
        for name, amount in part.items():
            total[name] += amount  # type: ignore[assignment]
    return {name: round(amount, 4) for name, amount in total.items()}


def _largest(nodes: Sequence[Resources]) -> dict[str, float]:
    largest: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.items():
            largest[name] = max(amount, largest.get(name, 0))
    return largest
