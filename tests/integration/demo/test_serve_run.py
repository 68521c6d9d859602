"""`serve run serve_config.yaml` and the real openai SDK: what the README promises."""

import time

import httpx
import openai
import pytest
from redis import Redis

from serve_app.runtime_dir import runtime_dir_path
from tests.integration.conftest import Application

pytestmark = [pytest.mark.serve, pytest.mark.timeout(300)]

HELLO = [{"role": "user", "content": "Hello"}]


def sdk(application: Application, key: str, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{application.base_url}/v1", api_key=key, max_retries=retries)


def test_a_plain_reply(application: Application) -> None:
    with sdk(application, "sk-demo-premium") as client:
        reply = client.chat.completions.create(model="default", messages=HELLO, max_tokens=6)
    assert reply.choices[0].message.content == "This reply is simulated: no model"
    assert reply.choices[0].finish_reason == "length"
    assert reply.model == "sim-small"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 6


def test_a_streamed_reply_arrives_in_pieces(application: Application) -> None:
    # Tests before this one may have used up what premium has of large models: then the SDK waits until there is room.
    with sdk(application, "sk-demo-premium", retries=3) as client:
        stream = client.chat.completions.create(
            model="sim-large", messages=HELLO, max_tokens=20, stream=True, stream_options={"include_usage": True}
        )
        arrived = [(time.monotonic(), chunk) for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for _, chunk in arrived if chunk.choices)
    assert text.startswith("This reply is simulated: no model ran.")
    assert len(text.split()) == 20
    assert arrived[-1][1].usage is not None
    assert arrived[-1][1].usage.completion_tokens == 20
    assert arrived[-1][0] - arrived[0][0] > 0.2, "20 tokens at 40 ms each cannot arrive at once"


def test_limited_then_retried(application: Application) -> None:
    with sdk(application, "sk-demo-batch") as impatient:
        for _ in range(2):
            impatient.chat.completions.create(model="sim-small", messages=HELLO, max_tokens=1)
        with pytest.raises(openai.RateLimitError) as caught:
            impatient.chat.completions.create(model="sim-small", messages=HELLO, max_tokens=1)
    error = caught.value
    assert error.code == "rate_limit_exceeded"
    assert error.body["policy"] == "slow"  # type: ignore[index]
    told_ms = int(error.response.headers["retry-after-ms"])
    assert 0 < told_ms <= 3_000
    with sdk(application, "sk-demo-batch", retries=2) as patient:  # the SDK waits as long as it is told
        reply = patient.chat.completions.create(model="sim-small", messages=HELLO, max_tokens=1)
    assert reply.choices


def test_errors_of_the_sdk(application: Application) -> None:
    with sdk(application, "sk-demo-nobody") as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="sim-small", messages=HELLO)
    with sdk(application, "sk-demo-premium") as client:
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="no-such-model", messages=HELLO)
        with pytest.raises(openai.UnprocessableEntityError):
            client.chat.completions.create(model="sim-small", messages=[])
        assert [model.id for model in client.models.list()] == ["sim-small", "default", "sim-large"]


def test_one_request_id_a_reply(application: Application) -> None:
    for path in ("/healthz", "/v1/models", "/nope"):
        assert len(httpx.get(application.base_url + path).headers.get_list("x-request-id")) == 1


def _used(application: Application) -> dict[str, int]:
    headers = {"authorization": "Bearer sk-demo-standard"}
    windows = httpx.get(f"{application.base_url}/v1/limits", headers=headers).json()["windows"]
    return {window["policy"]: window["used"] for window in windows if window["unit"] == "requests"}


def test_a_client_that_leaves_a_stream_frees_its_slot(application: Application) -> None:
    def held() -> int:
        headers = {"authorization": "Bearer sk-demo-internal"}
        windows = httpx.get(f"{application.base_url}/v1/limits?model=sim-large", headers=headers).json()["windows"]
        return sum(window["used"] for window in windows if window["unit"] == "concurrent_requests")

    with sdk(application, "sk-demo-internal") as client:
        stream = client.chat.completions.create(model="sim-large", messages=HELLO, stream=True)
        next(iter(stream))
        assert held() == 1
        stream.close()
    give_up = time.monotonic() + 5
    while held():
        assert time.monotonic() < give_up, "the slot of a client that left is still held"
        time.sleep(0.05)


def _logs(application: Application) -> dict[bytes, bytes | None]:
    """The logs of two windows as they lie in Redis, which time alone does not change: `used` falls as requests leave
    their windows. All of it is in the append-only file by then: what waits for the disk would be lost with the process.
    """
    with Redis(unix_socket_path=str(runtime_dir_path(application.state_dir) / "redis.sock")) as redis:
        while redis.info("persistence")["aof_buffer_length"]:
            time.sleep(0.05)
        keys = [key for name in ("everyone", "standard-rate") for key in redis.scan_iter(f"*:{name}:*")]
        return {key: redis.dump(key) for key in keys}


def test_a_restart_of_redis_keeps_the_log(application: Application) -> None:
    with sdk(application, "sk-demo-standard", retries=5) as client:
        client.chat.completions.create(model="sim-small", messages=HELLO, max_tokens=1)
        before, logs = _used(application), _logs(application)
        assert before["standard-rate"] >= 1
        assert len(logs) >= 2
        old = application.redis_process()
        old.kill()
        old.wait(10)
        give_up = time.monotonic() + 20
        while httpx.get(f"{application.base_url}/readyz").status_code != 200:
            assert time.monotonic() < give_up, "Redis did not come back"
            time.sleep(0.1)
        assert application.redis_process().pid != old.pid
        assert _logs(application) == logs
        assert 1 <= _used(application)["standard-rate"] <= before["standard-rate"]
        client.chat.completions.create(model="sim-small", messages=HELLO, max_tokens=1)
        assert _logs(application) != logs
