"""What `VllmOptions` asks Ray for without vLLM, beside what `ray.serve.llm` asks for. On a CPU they differ on purpose:
the worker is a process of the replica's own, and `cpus` are for both."""

import subprocess
import sys

import orjson
import pytest

from tests.integration.conftest import ROOT
from tests.vllm.tiny import NEEDS_VLLM

pytestmark = [pytest.mark.timeout(200), NEEDS_VLLM]

CASES = [
    {},
    {"accelerator_type": "H100", "cpus": 2},
    {"accelerator_type": "L4", "engine_kwargs": {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}},
    {"gpus_per_worker": 0.5, "placement_strategy": "STRICT_PACK", "engine_kwargs": {"tensor_parallel_size": 2}},
]

SCRIPT = """
import os, sys, orjson, ray
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
ray.init("local", num_cpus=1, include_dashboard=False)  # it asks Ray what there is, in some cases
from deployments.models.engines.registry import check_options
from deployments.models.ray_llm import LLMServer, llm_config
told = []
for case in orjson.loads(sys.argv[1]):
    options = check_options("vllm", {"model": "m", **case})
    told.append((options.deployment(), LLMServer.get_deployment_options(llm_config(options))))
print("TOLD" + orjson.dumps(told, default=str).decode())
"""


def test_a_replica_asks_for_what_ray_serve_llm_would_ask_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, orjson.dumps(CASES).decode()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = orjson.loads(done.stdout.rpartition("TOLD")[2])
    assert len(told) == len(CASES)
    for ours, theirs in told:
        for name in ("placement_group_bundles", "placement_group_strategy"):
            assert ours[name] == theirs[name]
        assert ours["ray_actor_options"]["num_cpus"] == theirs["ray_actor_options"]["num_cpus"]
