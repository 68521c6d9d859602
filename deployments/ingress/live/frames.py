"""What the live feed says, as it stands in /openapi.json: server-sent events, `hello`, then `frame` after `frame`.

All times are the Redis server's, in whole milliseconds since 1970, unless a name says otherwise.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from deployments.ingress.windows import WindowNow

INTERVAL_MS = 100
"""What happened in this time comes as one frame."""

MOST_MARKS = 2_000
"""Of a log with more entries than these, a profile is told instead of single entries."""

WAIT_STEP = 1.1
"""Each bucket of a histogram of waits ends so many times later than the one before; the first ends at 1 ms."""


class LiveHello(BaseModel):
    """The first event, `hello`: what the frames are about."""

    at_ms: Annotated[int, Field(examples=[1764000000123])]
    interval_ms: Annotated[int, Field(description="What happened in this time comes as one frame.", examples=[100])]
    tenant: Annotated[str | None, Field(description="Whose share is shown; null: everybody's.", examples=["acme"])]
    bands: Annotated[list[str], Field(description="Highest first.", examples=[["internal", "premium"]])]
    watching: Annotated[WindowNow | None, Field(description="The window whose log is followed.")]


class LiveRequest(BaseModel):
    """What the limits decided on one request."""

    id: Annotated[str, Field(description="Its `x-request-id`.")]
    at_ms: Annotated[int, Field(description="When it was decided.")]
    tenant: str
    user: str
    api_key: Annotated[str, Field(description="The key's public id.")]
    model: str
    band: Annotated[str, Field(description="Its QoS tier.")]
    outcome: Literal["allowed", "denied"]
    denied_by: Annotated[str | None, Field(description="The policy that denied.")]
    denied_subject: Annotated[str | None, Field(description="Whose window that policy found full.")]
    retry_after_s: Annotated[float, Field(description="Exact seconds until the same request fits; 0 where it does.")]
    shadow: Annotated[list[str], Field(description="Policies in shadow mode that would have denied it.")]


class LiveEnding(BaseModel):
    """How one request ended."""

    id: Annotated[str, Field(description="Its `x-request-id`.")]
    band: str
    model: str
    status: Annotated[int, Field(description="Of the reply; 499: the client left.", examples=[200])]
    code: Annotated[str | None, Field(description="The error's code, where it is one.", examples=["queue_full"])]
    wait_ms: Annotated[float | None, Field(description="For a slot; null: it was given none.")]
    ttft_ms: Annotated[float | None, Field(description="From its arrival to its first token, where it was streamed.")]
    total_ms: Annotated[float, Field(description="From its arrival to its end.")]
    input_tokens: int
    output_tokens: int


class LiveCounts(BaseModel):
    """How many requests of one band had which outcome. Exact, whatever is left out elsewhere."""

    band: str
    allowed: Annotated[int, Field(description="By the limits.")] = 0
    denied: Annotated[int, Field(description="By a limit.")] = 0
    shadow: Annotated[int, Field(description="Of those allowed: a policy in shadow mode would have denied.")] = 0
    refused: Annotated[int, Field(description="Allowed by the limits, but the queue was full or too slow.")] = 0
    failed: Annotated[int, Field(description="Answered with a status of 500 or more.")] = 0
    finished: Annotated[int, Field(description="Answered in full.")] = 0
    waits: Annotated[
        dict[int, int],
        Field(
            description="Waits for a slot of those that were given one: how many in each bucket. Bucket 0 ends at 1 ms,"
            " and each one 1.1 times later than the one before."
        ),
    ] = {}


class LiveBand(BaseModel):
    """One band of one pool, now."""

    name: str
    waiting: Annotated[int, Field(description="Requests in the queue.")]
    running: Annotated[int, Field(description="Requests that have a slot.")]
    oldest_wait_ms: Annotated[float, Field(description="How long the first in the queue has waited; 0: none does.")]
    overtakings: Annotated[
        int, Field(description="Starts that went before an earlier request that still waits, since the router started.")
    ]


class LivePool(BaseModel):
    """One model's pool of slots, now."""

    name: str
    slots: Annotated[int | None, Field(description="How many it has; null while the router does not say.")]
    bands: list[LiveBand]


class LogProfile(BaseModel):
    """How many entries a log holds in each of many equal spans of time."""

    from_ms: Annotated[int, Field(description="When the first span begins.")]
    span_ms: Annotated[int, Field(description="How long each is.")]
    counts: list[int]


class LiveLog(BaseModel):
    """The log of the window that is watched: what is new in it since the last frame, and what it comes to."""

    window: WindowNow
    next_free_s: Annotated[float, Field(description="Exact seconds until a request of cost 1 fits; 0: now.")]
    fresh: Annotated[bool, Field(description="Forget what was told of this log before: this is all of it.")]
    entries: Annotated[
        list[tuple[int, int, int]], Field(description="New entries: when each was logged, its number, its cost.")
    ]
    changed: Annotated[
        list[tuple[int, int]], Field(description="Entries whose cost was settled: number and cost; 0: taken back.")
    ]
    profile: Annotated[
        LogProfile | None, Field(description="Instead of entries, where there are more than 2000 in the window.")
    ]


class LiveFrame(BaseModel):
    """An event `frame`: everything that happened in an interval. What did not change is left out."""

    at_ms: Annotated[int, Field(description="When it was made.")]
    number: Annotated[int, Field(description="Frames of this stream are numbered from 1, without gaps.")]
    lag_ms: Annotated[int, Field(description="How old the oldest news in it is; 0 where there is none.")]
    store: Annotated[
        Literal["ok", "unreachable"], Field(description="Whether Redis, which the feed comes through, answers.")
    ]
    replicas: Annotated[int, Field(description="Ingress replicas heard of in the last 3 seconds.")]
    sampled: Annotated[
        int, Field(description="`requests` and `endings` show one in so many; counts are always exact.", examples=[1])
    ]
    counts: list[LiveCounts] = []
    denied_by: Annotated[dict[str, int], Field(description="Denials by policy.")] = {}
    requests: list[LiveRequest] = []
    endings: list[LiveEnding] = []
    windows: Annotated[list[WindowNow], Field(description="Windows that changed, as they are now.")] = []
    log: LiveLog | None = None
    pools: Annotated[list[LivePool] | None, Field(description="All of them; null: nothing changed.")] = None


class LiveEnd(BaseModel):
    """The last event, `end`: why the server ends the stream."""

    reason: Literal["slow", "closing", "key"]
    message: Annotated[str, Field(examples=["The server is restarting: connect again."])]
