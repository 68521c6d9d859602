"""No key and no prompt in any log of a running Sluice, wherever clients put them; and a line for each request."""

import json
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import Application

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

PROMPT = "a-prompt-that-nobody-may-read"
KEYS = ("sk-demo-premium", "sk-stray-0123456789abcdef01234567")
"""One that works, and one that does not."""


def test_secrets_are_in_no_log(application: Application) -> None:
    chat = f"{application.base_url}/v1/chat/completions"
    body = {"model": "sim-small", "max_tokens": 2, "user": PROMPT, "messages": [{"role": "user", "content": PROMPT}]}
    for key in KEYS:
        headers = {"authorization": f"Bearer {key}", "x-api-key": key, "cookie": f"key={key}", "user-agent": PROMPT}
        with httpx.Client(headers=headers, timeout=30) as client:
            client.post(chat, json=body)
            client.post(chat, json={**body, "stream": True})
            client.post(chat, json={**body, "model": PROMPT})
            client.post(chat, json={**body, "messages": PROMPT})
            client.post(chat, content=PROMPT)
            client.post(chat, json=body, params={"key": key, "prompt": PROMPT})
            client.post(f"{application.base_url}/v1/embeddings", json={"model": "sim-small", "input": PROMPT})
            client.post(f"{application.base_url}/v1/limits", json=body)
    mine = "access-log-mark"
    headers = {"authorization": f"Bearer {KEYS[0]}", "x-request-id": mine}
    assert httpx.post(chat, json=body, headers=headers, timeout=30).status_code == 200
    (line,) = _lines_of(application, mine)
    told = [line[name] for name in ("tenant", "band", "model", "outcome", "status", "output_tokens")]
    assert told == ["acme", "premium", "sim-small", "served", 200, 2]
    logs = _logs(application)
    assert len(logs) > 5
    for path in logs:
        text = path.read_bytes()
        for secret in (PROMPT, *KEYS):
            assert secret.encode() not in text, path


def _lines_of(application: Application, request_id: str) -> list[dict[str, object]]:
    give_up = time.monotonic() + 20
    while True:
        lines = [
            json.loads(line)
            for path in _logs(application)
            if path.name.startswith("access_")
            for line in path.read_text().splitlines()
        ]
        if found := [line for line in lines if line["request_id"] == request_id]:
            return found
        assert time.monotonic() < give_up, f"no line of {request_id} among {len(lines)}"
        time.sleep(0.2)


def _logs(application: Application) -> list[Path]:
    """Ray's and Serve's, those of the embedded Redis, and what the start printed."""
    ours = [path for path in application.state_dir.rglob("*.log") if path.is_file()]
    return [
        application.log,
        *ours,
        *(path for path in (application.session_dir() / "logs").rglob("*") if path.is_file()),
    ]
