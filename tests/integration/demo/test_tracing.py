"""One trace through the processes of a running Sluice: ingress, replica, and back to the settlement."""

import time

import httpx
import pytest

from tests.integration.conftest import Application
from tests.observability.receiver import Receiver

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENTS = {
    "check": "request",
    "admission": "request",
    "model": "request",
    "settlement": "request",
    "engine": "model",
}


def test_one_trace_through_all_processes(application: Application, traces: Receiver) -> None:
    body = {"model": "sim-small", "max_tokens": 3, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": "Bearer sk-demo-premium", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    url = f"{application.base_url}/v1/chat/completions"
    assert httpx.post(url, json=body, headers={**headers, "traceparent": "none"}, timeout=30).status_code == 200
    assert httpx.post(url, json=body, headers=headers, timeout=30).status_code == 200
    give_up = time.monotonic() + 30
    while (found := traces.spans()).keys() != {"request", *PARENTS}:
        assert time.monotonic() < give_up, f"only {found.keys()} came"
        time.sleep(0.2)
    assert all(len(each) == 1 for each in found.values()), "the other request is not traced"
    spans = {name: each[0][1] for name, each in found.items()}
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert spans["request"].parent_span_id.hex() == PARENT
    for name, parent in PARENTS.items():
        assert spans[name].parent_span_id == spans[parent].span_id, name
    assert found["engine"][0][0] == "sluice-model"
