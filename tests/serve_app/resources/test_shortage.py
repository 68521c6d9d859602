"""What a person is told of a cluster that lacks something."""

from typing import Any

import pytest

from serve_app.resources.needs import Need, Resources, need
from serve_app.resources.shortage import explain, shortages

GIB = 1 << 30
LAPTOP: Resources = {"CPU": 2, "memory": 8 * GIB, "object_store_memory": 3 * GIB, "node:10.0.0.1": 1}
ONE_T4: Resources = {"CPU": 8, "GPU": 1, "memory": 32 * GIB, "accelerator_type:T4": 1}


def of(**options: Any) -> Need:
    return need("app", "model-a", {"ray_actor_options": options})


def entry(**fields: Any) -> Need:
    return need("app", "model-a", fields)


CASES: list[tuple[str, list[Need], list[Resources], str | None]] = [
    ("what is there", [of(num_gpus=1, accelerator_type="T4")], [LAPTOP, ONE_T4], None),
    ("a GPU", [of(num_gpus=1)], [LAPTOP], r"no node has enough of num_gpus \(none has any\)"),
    ("more GPUs", [of(num_gpus=2)], [ONE_T4, ONE_T4], r"num_gpus \(the most is 1\)"),
    ("another GPU", [of(num_gpus=1, accelerator_type="A100")], [ONE_T4], "accelerator_type: A100 "),
    ("CPUs", [of(num_cpus=64)], [LAPTOP, ONE_T4], r"num_cpus \(the most is 8\)"),
    ("memory", [of(memory=64 * GIB)], [ONE_T4], r"memory \(the most is 32.0 GiB\)"),
    ("a resource of one's own", [of(resources={"license": 1})], [LAPTOP], r"license \(none has any\)"),
    ("both on one node", [of(num_cpus=4, num_gpus=1)], [LAPTOP, {"CPU": 1, "GPU": 1}, ONE_T4], None),
    ("not on one node", [of(num_cpus=2, num_gpus=1)], [LAPTOP, {"CPU": 1, "GPU": 1}], "not together on one node"),
    ("a bundle", [entry(placement_group_bundles=[{"CPU": 1}, {"GPU": 2}])], [ONE_T4], r"num_gpus \(the most is 1\)"),
    (
        "as many nodes",
        [entry(placement_group_bundles=[{"CPU": 1}] * 2, placement_group_strategy="STRICT_SPREAD")],
        [ONE_T4],
        "2 nodes for each replica, and there are 1",
    ),
    (
        "replicas apart",
        [entry(num_replicas=3, max_replicas_per_node=1, ray_actor_options={"num_gpus": 0.1})],
        [LAPTOP, ONE_T4],
        "3 replicas with max_replicas_per_node: 1, and 1 node can take any",
    ),
    (
        "all together",
        [of(num_cpus=1.5), need("app", "model-b", {})],
        [LAPTOP],
        r"together ask for more than there is: 2.5 of 2 num_cpus\. They are model-a \(1 replica: num_cpus: 1.5\), mod",
    ),
    (
        "parts of GPUs",
        [entry(num_replicas=2, ray_actor_options={"num_cpus": 0, "num_gpus": 0.6}), of(num_cpus=0, num_gpus=0.6)],
        [{"CPU": 1, "GPU": 2}],
        "There is enough in all, but no way to place",
    ),
    ("not even one of those to come", [entry(autoscaling_config={"min_replicas": 0})], [{"GPU": 1}], "num_cpus"),
    ("none will come", [entry(num_replicas=0, ray_actor_options={"num_gpus": 1})], [LAPTOP], None),
    ("no node yet", [of()], [], "The cluster has no node"),
]


@pytest.mark.parametrize(("needs", "nodes", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_cases(needs: list[Need], nodes: list[Resources], told: str | None) -> None:
    found = shortages(needs, nodes)
    if told is None:
        assert found == []
    else:
        assert len(found) == 1
        with pytest.raises(ValueError, match=told):
            raise ValueError(explain(found, nodes))


def test_the_message_names_what_is_asked_what_there_is_and_what_to_do() -> None:
    nodes = [LAPTOP, LAPTOP, ONE_T4]
    lines = explain(shortages([of(num_gpus=1, accelerator_type="A100")], nodes), nodes).splitlines()
    assert lines[0].startswith(
        "Deployment 'model-a' of application 'app' asks for num_cpus: 1 (Serve's default), num_gpus: 1, "
        "accelerator_type: A100 for each replica"
    )
    assert lines[1] == (
        "The cluster has 2 nodes with 2 CPU, 0 GPU, 8.0 GiB memory; "
        "1 node with 8 CPU, 1 GPU, 32.0 GiB memory, accelerator_type: T4."
    )
    assert lines[2].startswith("Without a GPU: set ray_actor_options.num_gpus: 0")
    assert lines[3] == "Accelerators in this cluster: accelerator_type: T4."


def test_of_many_kinds_some_are_named() -> None:
    nodes: list[Resources] = [{"CPU": n} for n in range(1, 12)]
    crowd = [need("app", f"model-{n}", {"ray_actor_options": {"num_cpus": 8}}) for n in range(12)]
    told = explain(shortages(crowd, nodes), nodes)
    assert "and 3 other kinds of nodes" in told
    assert "and 4 more" in told
