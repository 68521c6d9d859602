from typing import Any

import pytest

from deployments.models.engines.protocol import EngineOptionsError
from deployments.models.engines.registry import check_options
from deployments.tokenization.counting import Counting


def of(**options: Any) -> Any:
    return check_options("vllm", {"model": "org/name", **options})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": ""}, "model"),
        ({"devise": "cpu"}, "unknown option devise"),
        ({"engine_kwargs": {"model": "x"}}, "model is not passed on: write it as the option model"),
        ({"engine_kwargs": {"data_parallel_size": 2}}, "num_replicas"),
        ({"device": "cpu", "accelerator_type": "H100"}, "there is none with device: cpu"),
        ({"gpus_per_worker": 2}, "gpus_per_worker"),
        ({"placement_strategy": "NEAR"}, "placement_strategy"),
    ],
)
def test_what_makes_no_sense_is_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineOptionsError, match=said):
        of(**options)


def test_a_replica_on_one_gpu() -> None:
    assert of().deployment() == {
        "ray_actor_options": {"num_cpus": 1},
        "placement_group_bundles": [{"GPU": 1, "CPU": 1}],
        "placement_group_strategy": "PACK",
    }


def test_a_bundle_for_each_worker() -> None:
    asked = of(
        accelerator_type="H100",
        gpus_per_worker=0.5,
        cpus=3,
        placement_strategy="STRICT_PACK",
        engine_kwargs={"tensor_parallel_size": 2, "pipeline_parallel_size": 2},
    ).deployment()
    worker = {"GPU": 0.5, "accelerator_type:H100": 0.001}
    assert asked["placement_group_bundles"] == [{**worker, "CPU": 3}, worker, worker, worker]
    assert asked["placement_group_strategy"] == "STRICT_PACK"


def test_a_replica_on_a_cpu_fits_into_its_bundle() -> None:
    asked = of(device="cpu", cpus=0.5).deployment()
    assert asked["placement_group_bundles"] == [{"CPU": 0.5}]
    assert asked["ray_actor_options"] == {"num_cpus": 0.5}


def test_prompts_are_counted_by_the_models_own_tokenizer() -> None:
    assert of(chat_template="t").counting() == Counting("tokenizer", "org/name", None, "t")
    assert of(engine_kwargs={"tokenizer": "other", "revision": "v2"}).counting() == Counting(
        "tokenizer", "other", "v2", None
    )
    assert of(model="s3://bucket/model").counting() == Counting(), "the ingress fetches nothing from there"
