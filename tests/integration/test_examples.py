"""The runnable examples that need Ray Serve, run as they stand."""

import os
import subprocess
import sys
import textwrap

import pytest

from tests.integration.conftest import ROOT, free_port
from tests.policies.redis_server import RedisServer, binaries

pytestmark = [pytest.mark.serve, pytest.mark.timeout(180)]


def test_limits_for_a_plain_ray_serve_application() -> None:
    redis = RedisServer(next(iter(binaries().values()))).start()
    port = free_port()
    program = f"""
        import httpx, ray
        from ray import serve
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        serve.start(http_options={{"host": "127.0.0.1", "port": {port}}})
        from examples.ray_serve_limits import application
        serve.run(application)
        codes = [httpx.get("http://127.0.0.1:{port}/", headers={{"x-tenant": "acme"}}).status_code for _ in range(12)]
        while codes[-2:] != [429, 429] and len(codes) < 40:
            codes.append(httpx.get("http://127.0.0.1:{port}/", headers={{"x-tenant": "acme"}}).status_code)
        print("codes", *codes)
        serve.shutdown()
    """
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
            cwd=ROOT,
            env={**os.environ, "REDIS_URL": f"unix://{redis.socket}", "RAY_USAGE_STATS_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=150,
        )
    finally:
        redis.close()
    words = next((line.split() for line in done.stdout.splitlines() if line.startswith("codes")), [])
    codes = [int(word) for word in words[1:]]
    # Beside other tests Redis may answer after the deadline: a 503, whose entry may be in the log all the same.
    unanswered = codes.count(503)
    assert set(codes) <= {200, 429, 503}, done.stderr[-3_000:]
    assert 10 - unanswered <= codes.count(200) <= 10, codes
    assert codes[-2:] == [429, 429], codes
    assert 200 not in codes[codes.index(429) :], codes
