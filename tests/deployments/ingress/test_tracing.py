"""One trace through ingress, check, admission, model, engine and settlement, as a real OTLP receiver gets it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deployments.ingress.state import IngressState
from deployments.models.engines.protocol import EngineFailureError
from deployments.models.service import ModelService
from deployments.tracing import TracingOptions, tracer_for
from tests.deployments.ingress.conftest import LocalPools, secret, use
from tests.observability.receiver import Receiver, receiving

CHAT = {"model": "small", "max_tokens": 5, "messages": [{"role": "user", "content": "the-secret-of-the-prompt"}]}
CONCURRENT = {"name": "slots", "scope": "API_KEY", "unit": "concurrent_requests", "limit": 1}
UNSET, ERROR = 0, 2
"""Codes of a span's status, as OTLP has them."""

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def traced(state: IngressState, pools: LocalPools, receiver: Receiver) -> IngressState:
    """Traces what is asked to be, and nothing by chance."""
    options = TracingOptions(receiver.endpoint, 0.0)
    state.tracer = tracer_for(options, "sluice-ingress")
    engine = {"first_token_ms": 1, "inter_token_ms": 1, "reply_tokens": 5}
    pools.services["small"] = ModelService("simulated", engine, tracer=tracer_for(options, "sluice-model"))
    return state


async def sent(state: IngressState, pools: LocalPools, receiver: Receiver) -> dict[str, list[tuple[str, Any]]]:
    """Every span, once all are sent."""
    await state.settlement.close()
    await pools.services["small"].close()
    assert state.tracer is not None
    state.tracer.close()
    return receiver.spans()


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@pytest.mark.parametrize("stream", [False, True])
async def test_one_trace(
    client: httpx.AsyncClient, traced: IngressState, pools: LocalPools, receiver: Receiver, stream: bool
) -> None:
    use(traced, CONCURRENT)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": f"mine {secret('gus1')}"}
    reply = await client.post("/v1/chat/completions", json={**CHAT, "stream": stream}, headers=headers)
    assert reply.status_code == 200
    spans = await sent(traced, pools, receiver)
    assert {name: [service for service, _ in each] for name, each in spans.items()} == {
        **{name: ["sluice-ingress"] for name in ("request", "check", "admission", "model", "settlement")},
        "engine": ["sluice-model"],
    }
    found = {name: each[0][1] for name, each in spans.items()}
    assert {span.trace_id.hex() for span in found.values()} == {TRACE}
    request = found["request"]
    assert request.parent_span_id.hex() == PARENT
    for name in ("check", "admission", "model", "settlement"):
        assert found[name].parent_span_id == request.span_id, name
        assert request.start_time_unix_nano <= found[name].start_time_unix_nano <= found[name].end_time_unix_nano
    assert found["engine"].parent_span_id == found["model"].span_id
    assert attributes(request) == {
        "http.response.status_code": 200,
        "sluice.request_id": "mine …",
        "sluice.outcome": "served",
        "sluice.model": "small",
        "sluice.tenant": "globex",
        "sluice.band": "standard",
        "sluice.input_tokens": attributes(request)["sluice.input_tokens"],
        "sluice.output_tokens": 5,
    }
    everything = b"".join(receiver.bodies)
    assert secret("gus1").encode() not in everything
    assert b"the-secret-of-the-prompt" not in everything


async def test_what_does_not_run_is_traced_as_far_as_it_came(
    client: httpx.AsyncClient, traced: IngressState, pools: LocalPools, receiver: Receiver
) -> None:
    use(traced, {**CONCURRENT, "unit": "requests", "window": "1m", "name": "one"})
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    statuses = []
    for model, key in (("ghost", "gus1"), ("small", "gus1"), ("small", "gus1"), ("small", "nobody")):
        asked = {**headers, "authorization": f"Bearer {secret(key)}"}
        statuses.append(
            (await client.post("/v1/chat/completions", json={**CHAT, "model": model}, headers=asked)).status_code
        )
        await traced.settlement.close()  # what ghost was charged is back
    spans = await sent(traced, pools, receiver)
    assert statuses == [503, 200, 429, 401]
    assert {name: len(each) for name, each in spans.items()} == {
        "request": 4,
        "check": 3,
        "settlement": 1,
        "admission": 2,
        "model": 1,
        "engine": 1,
    }
    told = [attributes(span) for _, span in spans["request"]]
    assert [each["sluice.outcome"] for each in told] == ["failed", "served", "denied", "refused"]
    assert [each.get("error.type") for each in told] == [
        *("model_unavailable", None, "rate_limit_exceeded", "invalid_api_key"),
    ]


async def test_a_check_that_cannot_be_made_has_its_span(
    client: httpx.AsyncClient, traced: IngressState, pools: LocalPools, receiver: Receiver
) -> None:
    use(traced, {**CONCURRENT, "unit": "output_tokens", "window": "1m"})  # 1, where 5 are asked for
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert (await client.post("/v1/chat/completions", json=CHAT, headers=headers)).status_code == 400
    spans = await sent(traced, pools, receiver)
    assert set(spans) == {"request", "check"}
    ((_, check),), ((_, request),) = spans["check"], spans["request"]
    assert attributes(check) == {"error.type": "request_exceeds_limit"}
    assert check.parent_span_id == request.span_id


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("asked", "status", "code"), [({"logprobs": True}, 400, UNSET), ({}, 500, ERROR)])
async def test_what_an_engine_refuses_is_no_error_of_its_span(
    client: httpx.AsyncClient,
    traced: IngressState,
    pools: LocalPools,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    stream: bool,
    asked: dict[str, Any],
    status: int,
    code: int,
) -> None:
    if code == ERROR:

        def fails(*_: Any) -> None:
            raise EngineFailureError("it does not work")

        monkeypatch.setattr(pools.services["small"]._engine, "generate", fails)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    reply = await client.post("/v1/chat/completions", json={**CHAT, **asked, "stream": stream}, headers=headers)
    assert reply.status_code == status
    spans = await sent(traced, pools, receiver)
    assert [span.status.code for _, span in spans["engine"]] == [code]


@pytest.mark.parametrize(
    ("traceparent", "sample_rate", "spans"),
    [
        (None, 0.0, 0),
        (None, 1.0, 1),
        (f"00-{TRACE}-{PARENT}-00", 1.0, 0),
        (f"00-{TRACE}-{PARENT}-01", 0.0, 1),
        ("nonsense", 0.0, 0),
        ("nonsense", 1.0, 1),
    ],
)
async def test_which_requests_are_traced(
    client: httpx.AsyncClient,
    traced: IngressState,
    pools: LocalPools,
    receiver: Receiver,
    traceparent: str | None,
    sample_rate: float,
    spans: int,
) -> None:
    assert traced.tracer is not None
    traced.tracer.close()
    traced.tracer = tracer_for(TracingOptions(receiver.endpoint, sample_rate), "sluice-ingress")
    headers = {} if traceparent is None else {"traceparent": traceparent}
    assert (await client.post("/v1/chat/completions", json=CHAT, headers=headers)).status_code == 200
    found = await sent(traced, pools, receiver)
    assert len(found.get("request", [])) == spans
    assert all(span.parent_span_id == b"" for _, span in found.get("request", [])) == (
        traceparent != f"00-{TRACE}-{PARENT}-01"
    )


async def test_a_receiver_that_is_away_holds_no_request_up(client: httpx.AsyncClient, state: IngressState) -> None:
    state.tracer = tracer_for(TracingOptions("http://127.0.0.1:1/v1/traces", 1.0), "sluice-ingress")
    assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200


def test_off_is_nothing() -> None:
    assert tracer_for(None, "sluice-ingress") is None


async def test_opentelemetry_switched_off_by_its_own_variable_traces_nothing(
    client: httpx.AsyncClient, state: IngressState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    state.tracer = tracer_for(TracingOptions("http://127.0.0.1:1/v1/traces", 1.0), "sluice-ingress")
    for headers in ({}, {"traceparent": f"00-{TRACE}-{PARENT}-01"}):
        assert (await client.post("/v1/chat/completions", json=CHAT, headers=headers)).status_code == 200


async def test_what_a_client_writes_into_tracestate_is_not_logged(
    client: httpx.AsyncClient, traced: IngressState, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": f"{secret('gus1')} astray=1"}
    assert (await client.post("/v1/chat/completions", json=CHAT, headers=headers)).status_code == 200
    assert "astray" not in caplog.text
