"""What a configuration asks for, what a real Ray has: GPUs that Ray believes in, and ones that are missing."""

import copy
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from serve_app import serve_status
from tests.integration.conftest import ROOT, Application, configuration, free_port, serving

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

SAID_WITHIN_S = 60
"""More than a start on a busy machine; without the check it would be never."""


def config_of_gpus(folder: Path, models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An application with these models and their `ray_actor_options`."""
    config = configuration(free_port(), folder / "state")
    application = config["applications"][0]
    engine = {"kind": "python", "options": {"import_path": "tests.integration.gpu_models:Sees"}}
    application["args"]["models"] = [{"name": name, "engine": engine} for name in models]
    application["deployments"] = application["deployments"][:2] + [
        {"name": f"model-{name}", "ray_actor_options": {"num_cpus": 0.1, **options}} for name, options in models.items()
    ]
    catalogue = application["deployments"][0]["user_config"]["catalogue"]
    catalogue["tiers"], catalogue["policies"] = [{"name": "only"}], []
    catalogue["models"] = [{"name": name, "tier": "only"} for name in models]
    return config


def test_sluice_up_names_the_gpu_that_is_missing_and_leaves_nothing_running(tmp_path: Path) -> None:
    config = config_of_gpus(tmp_path, {"small": {}, "large": {"num_gpus": 1, "accelerator_type": "A100"}})
    path = tmp_path / "serve_config.yaml"
    path.write_text(yaml.safe_dump(config))
    process = subprocess.Popen(
        [Path(sys.executable).with_name("sluice"), "up", path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    below: set[psutil.Process] = set()
    give_up = time.monotonic() + 2 * SAID_WITHIN_S
    while process.poll() is None:
        assert time.monotonic() < give_up
        below.update(psutil.Process(process.pid).children(recursive=True))
        time.sleep(0.5)
    output = process.communicate()[0]
    assert process.returncode == 1
    assert "the application 'sluice' is DEPLOY_FAILED" in output
    assert (
        "Deployment 'model-large' of application 'sluice' asks for num_cpus: 0.1, num_gpus: 1, accelerator_type: A100 "
        "for each replica, and no node has enough of num_gpus (none has any)" in output
    )
    assert "Traceback" not in output
    assert "0 GPU" in output, "what there is"
    assert "set ray_actor_options.num_gpus: 0" in output, "what to do"
    assert below
    assert [left for left in below if left.is_running() and left.status() != psutil.STATUS_ZOMBIE] == []
    assert not (tmp_path / "state" / "redis").exists(), "it was said before anything of ours was started"


@pytest.fixture(scope="module")
def two_gpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Application, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("gpus")
    half = {"num_gpus": 0.5}
    config = config_of_gpus(folder, {"whole": {"num_gpus": 1}, "half": half, "other-half": half, "none": {}})
    with (
        pytest.MonkeyPatch.context() as patch,
        serving_with(patch, {"RAY_OVERRIDE_RESOURCES": '{"GPU": 2}'}, config, folder) as running,
    ):
        yield running, config


def serving_with(patch: pytest.MonkeyPatch, environment: dict[str, str], config: dict[str, Any], folder: Path) -> Any:
    for name, value in environment.items():
        patch.setenv(name, value)
    return serving(config, folder)


def test_every_replica_sees_the_gpus_that_ray_gave_it(two_gpus: tuple[Application, dict[str, Any]]) -> None:
    application, _ = two_gpus

    def devices(model: str) -> str:
        reply = httpx.post(
            f"{application.base_url}/v1/models/{model}/infer",
            json={},
            headers={"authorization": "Bearer sk-demo-premium"},
            timeout=30,
        )
        assert reply.status_code == 200, reply.text
        seen: str = reply.json()["devices"]
        return seen

    assert devices("half") == devices("other-half"), "two halves of one GPU"
    assert {devices("half"), devices("whole")} == {"0", "1"}
    assert devices("none") == "", "and no GPU of others is in sight"


def test_serve_deploy_of_what_does_not_fit_fails_with_the_reason(
    two_gpus: tuple[Application, dict[str, Any]], tmp_path: Path
) -> None:
    application, config = two_gpus
    greedy = copy.deepcopy(config)
    greedy["applications"][0]["args"]["http"] = {"request_deadline_s": 30}
    for deployment in greedy["applications"][0]["deployments"]:
        if deployment["name"] == "model-none":
            deployment["ray_actor_options"] = {"num_cpus": 0.1, "num_gpus": 0.6}
    path = tmp_path / "greedy.yaml"
    path.write_text(yaml.safe_dump(greedy))
    serve(application, "deploy", path)
    give_up = time.monotonic() + SAID_WITHIN_S
    while True:
        told = serve(application, "status")
        status = yaml.safe_load(told)["applications"]["sluice"]
        if status["status"] == "DEPLOY_FAILED":
            break
        assert time.monotonic() < give_up, told
        time.sleep(0.5)
    assert "All deployments together ask for more than there is: 2.6 of 2 num_gpus" in status["message"]
    assert "Traceback" not in status["message"]


def serve(application: Application, command: str, *arguments: Path) -> str:
    """What Ray's command line says to the running Serve."""
    port = serve_status.dashboard_port(psutil.Process(application.process.pid))
    done = subprocess.run(
        [Path(sys.executable).with_name("serve"), command, "--address", f"http://127.0.0.1:{port}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "RAY_AUTH_MODE": "token"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
