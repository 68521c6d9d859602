"""Changes while requests come, through two ingress replicas: by the admin API and by a deploy of the file."""

import asyncio
import copy
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.conftest import ROOT
from tests.operation.conftest import Service

pytestmark = [pytest.mark.serve, pytest.mark.timeout(400)]

EVERYWHERE = 40
"""So many requests in a row over new connections, which HAProxy spreads over both replicas."""

SEEN_S = 10
"""Longest wait of a test. That it is less than a second is a benchmark's to show; a test must stand a busy machine."""

BODY = {"model": "sim-small", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12}


def everywhere(holds: Callable[[], bool]) -> float:
    """Waits until it holds whoever answers; how long that took, in seconds."""
    start = time.monotonic()
    in_a_row, since = 0, start
    while in_a_row < EVERYWHERE:
        asked = time.monotonic()
        if holds():
            since = asked if in_a_row == 0 else since
            in_a_row += 1
        else:
            in_a_row = 0
        assert time.monotonic() < start + SEEN_S
    return since - start


def test_a_change_of_the_api_is_everywhere_and_a_revoked_key_is_nowhere(
    service: Service, record_property: Callable[[str, object], None]
) -> None:
    policy = {"name": "watched", "scope": "TENANT", "limit": 1_000, "window": "1m", "match": {"tenant": "watched"}}
    with service.client() as admin:
        for kind, body in (
            ("tenants", {"name": "watched"}),
            ("users", {"name": "wanda", "tenant": "watched"}),
            ("policies", policy),
        ):
            assert admin.post(f"/admin/{kind}", json=body).status_code == 201
        issued = admin.post("/admin/keys", json={"user": "wanda"}).json()
        key = issued["secret"]

        def limit() -> Any:
            reply = httpx.get(f"{service.url}/v1/limits", headers={"authorization": f"Bearer {key}"}, timeout=30)
            return next((w["limit"] for w in reply.json().get("windows", ()) if w["policy"] == "watched"), None)

        record_property("new_key_s", everywhere(lambda: limit() == 1_000))
        assert admin.put("/admin/policies/watched", json={**policy, "limit": 2_000}).status_code == 200
        record_property("new_limit_s", everywhere(lambda: limit() == 2_000))
        assert admin.post(f"/admin/keys/{issued['key']['id']}/revoke").status_code == 200

        def refused() -> bool:
            headers = {"authorization": f"Bearer {key}"}
            reply = httpx.post(f"{service.url}/v1/chat/completions", headers=headers, json=BODY, timeout=30)
            return reply.status_code == 401

        record_property("revoked_s", everywhere(refused))


def _deploy(path: Path) -> subprocess.Popen[bytes]:
    command = [Path(sys.executable).with_name("serve"), "deploy", str(path)]
    environment = {**os.environ, "RAY_AUTH_MODE": "token"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


async def test_a_deploy_under_load_fails_no_request(service: Service) -> None:
    """Limits change, then a third replica comes and goes; plain and streamed replies go on throughout."""
    headers = {"authorization": "Bearer sk-demo-premium"}
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    stop = asyncio.Event()

    async def ask(number: int) -> None:
        stream = number % 2 == 1
        async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=60) as client:
            while not stop.is_set():
                try:
                    reply = await client.post("/v1/chat/completions", json={**BODY, "stream": stream})
                except httpx.HTTPError as error:
                    wrong.append(repr(error))
                    continue
                whole = reply.text.rstrip().endswith("[DONE]") if stream else "usage" in reply.text
                if reply.status_code != 200 or not whole:
                    wrong.append(f"{reply.status_code}: {reply.text[:300]}")
                for policy in ("one", "two", "three"):
                    seen[policy] += f'"{policy}"' in reply.headers["ratelimit-policy"]
                seen["all"] += 1

    async def deployed(policy: str, replicas: int) -> None:
        config = copy.deepcopy(service.config)
        ingress = config["applications"][0]["deployments"][0]
        ingress["num_replicas"] = replicas
        ingress["user_config"]["catalogue"]["policies"].append(
            {"name": policy, "scope": "TENANT", "limit": 1_000_000, "window": "1m"}
        )
        process = _deploy(service.written(config, f"{policy}.yaml"))
        out, _ = await asyncio.to_thread(process.communicate, timeout=120)
        assert process.returncode == 0, out.decode()
        give_up = time.monotonic() + 120
        before = seen[policy]
        while seen[policy] < before + 50:  # it is in use
            assert time.monotonic() < give_up, f"{policy} is not in use: {seen}, {wrong[:3]}"
            await asyncio.sleep(0.1)

    asking = [asyncio.create_task(ask(number)) for number in range(6)]
    try:
        await deployed("one", 2)
        await deployed("two", 3)
        await asyncio.sleep(10)  # the third replica comes into use
        await deployed("three", 2)
        await asyncio.sleep(10)  # one replica drains
    finally:
        stop.set()
        await asyncio.gather(*asking)
    assert wrong == []
    assert seen["all"] > 100
