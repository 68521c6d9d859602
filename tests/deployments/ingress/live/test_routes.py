"""The live feed as viewers get it: what is in the stream, who may open it, how it ends."""

import httpx
import pytest

from deployments.ingress.app import create_app
from deployments.ingress.state import IngressState
from tests.deployments.ingress.conftest import use
from tests.deployments.ingress.live.viewing import watching

CHAT = {"model": "small", "messages": [{"role": "user", "content": "hello there"}]}
BURST = {"name": "burst", "scope": "TENANT", "limit": 2, "window": "1m"}


async def test_a_viewer_sees_decisions_endings_windows_and_the_log(
    state: IngressState, client: httpx.AsyncClient
) -> None:
    use(state, BURST)
    async with watching(create_app(state), "admin1", query="policy=burst&subject=globex") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        assert stream.headers["x-accel-buffering"] == "no"
        hello = stream.hello
        assert hello.tenant is None
        assert hello.watching is not None
        assert (hello.watching.policy, hello.watching.subject, hello.watching.used) == ("burst", "globex", 0)
        for number in range(3):
            await client.post("/v1/chat/completions", json=CHAT, headers={"x-request-id": f"mine-{number}"})
        await stream.until(lambda each: sum(len(frame.endings) for frame in each.frames) == 3)
        frames = stream.frames
    requests = [each for frame in frames for each in frame.requests]
    assert [(each.id, each.outcome) for each in requests] == [
        ("mine-0", "allowed"),
        ("mine-1", "allowed"),
        ("mine-2", "denied"),
    ]
    denied = requests[-1]
    assert (denied.denied_by, denied.denied_subject, denied.band) == ("burst", "globex", "standard")
    assert 0 < denied.retry_after_s <= 60
    endings = {each.id: each for frame in frames for each in frame.endings}
    assert [endings[f"mine-{n}"].status for n in range(3)] == [200, 200, 429]
    assert endings["mine-2"].code == "rate_limit_exceeded"
    assert endings["mine-0"].output_tokens == 5
    counts = [each for frame in frames for each in frame.counts]
    assert sum(each.allowed for each in counts) == 2
    assert sum(each.denied for each in counts) == 1
    assert sum(each.finished for each in counts) == 2
    assert sum(sum(each.waits.values()) for each in counts) == 2
    assert {"burst": 1} in [frame.denied_by for frame in frames]
    entries = [entry for frame in frames if frame.log for entry in frame.log.entries]
    assert [(ordinal, cost) for _, ordinal, cost in entries] == [(1, 1), (2, 1)]
    assert [entry[0] for entry in entries] == [each.at_ms for each in requests[:2]]
    assert [frame.number for frame in frames] == list(range(1, len(frames) + 1))


@pytest.mark.parametrize(
    ("key", "path", "query", "status"),
    [
        ("gus1", "/admin/live", "", 403),
        ("revoked", "/admin/live", "", 401),
        ("admin1", "/admin/live", "policy=nobody&subject=x", 404),
        ("admin1", "/admin/live", "policy=burst&subject=a|b", 404),
        ("admin1", "/admin/live", "subject=globex", 422),
        ("admin1", "/admin/live", "window=1", 422),
        ("gus1", "/v1/limits/live", "policy=burst&subject=acme", 404),
        ("revoked", "/v1/limits/live", "", 401),
    ],
)
async def test_refusals_come_before_the_stream(
    state: IngressState, key: str, path: str, query: str, status: int
) -> None:
    use(state, BURST)
    async with watching(create_app(state), key, path, query) as stream:
        assert stream.status == status
        assert b'"error"' in stream.raw
