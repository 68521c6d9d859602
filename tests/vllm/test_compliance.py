"""See `tests.vllm.compliance`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT
from tests.vllm.compliance import MODEL
from tests.vllm.tiny import ENVIRONMENT, NEEDS_VLLM, make_model

pytestmark = [pytest.mark.serve, pytest.mark.timeout(500), NEEDS_VLLM]


def test_the_suite_that_every_engine_passes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.deployments.models.engines.compliance", "tests.vllm.compliance:TinyModel"],
        cwd=ROOT,
        env={**ENVIRONMENT, **os.environ, MODEL: str(make_model(tmp_path / "model"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=450,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0
