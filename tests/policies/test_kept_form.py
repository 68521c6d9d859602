"""What windows look like in Redis, to the byte. During an upgrade processes of two versions decide over the same keys:
these bytes may not change unless the processes of the version before read the new ones too."""

from redis.asyncio import Redis

from policies import Charge, Limiter, RateLimitPolicy
from tests.policies.conftest import Clock

REQUESTS = RateLimitPolicy(name="requests", scope="TENANT", limit=10, window="1m")
TOKENS = RateLimitPolicy(name="tokens", scope="TENANT", unit="total_tokens", limit=100, window="1m")
SLOTS = RateLimitPolicy(name="slots", scope="TENANT", unit="concurrent_requests", limit=5, window="30s")
START_MS = 1_800_000_000_000
NEWEST_AND_OLDEST = "01a3185c500a 000000000003 01a3185c5000 000000000001"
"""Two entries, at START_MS + 10 with the next ordinal 3, and at START_MS with the ordinal 1."""

PLAIN = NEWEST_AND_OLDEST + "0000000000000002 00000000 000000000000 000000000000 000000000000"
WEIGHTED = NEWEST_AND_OLDEST + "0000000000000009 00000080 000000000009 000000000009 000000000001" + "00000007 80000002"
"""7 tokens, and 2 of which it is settled that they were used."""

WEIGHTED_BYTES = 54 + 128 * 4 + 4 * 6 + 2 * 6
"""The header, 128 costs, and sums of 64 and of 4096 of them, with two to spare of each."""


def kept(state: str, length: int) -> bytes:
    return bytes.fromhex(state).ljust(length, b"\0")


async def test_windows_are_kept_as_every_version_keeps_them(limiter: Limiter, redis: Redis, clock: Clock) -> None:
    clock.ms = START_MS
    holders = []
    for tokens in (7, 5):
        decision = await limiter.acquire(
            [Charge(REQUESTS, "acme"), Charge(TOKENS, "acme", tokens), Charge(SLOTS, "acme")]
        )
        holders.append(decision.id.encode())
        clock.ms += 10
    await limiter.settle(decision, {"total_tokens": 2})
    assert set(await redis.keys()) == {
        *(b"sluice:{TENANT:acme}:requests:r:acme", b"sluice:{TENANT:acme}:requests:r:acme:s"),
        *(b"sluice:{TENANT:acme}:tokens:t:acme", b"sluice:{TENANT:acme}:tokens:t:acme:s"),
        b"sluice:{TENANT:acme}:slots:c:acme",
    }
    ids = [b"1800000000000-1", b"1800000000010-2"]
    assert await redis.xrange("sluice:{TENANT:acme}:requests:r:acme") == [(each, {b"": b""}) for each in ids]
    assert await redis.xrange("sluice:{TENANT:acme}:tokens:t:acme") == [(ids[0], {b"": b"7"}), (ids[1], {b"": b"5"})]
    assert await redis.get("sluice:{TENANT:acme}:requests:r:acme:s") == kept(PLAIN, 54)
    assert await redis.get("sluice:{TENANT:acme}:tokens:t:acme:s") == kept(WEIGHTED, WEIGHTED_BYTES)
    leases = await redis.zrange("sluice:{TENANT:acme}:slots:c:acme", 0, -1, withscores=True)
    assert leases == [(holders[0], START_MS + 30_000)]


async def test_what_another_version_kept_is_read(limiter: Limiter, redis: Redis, clock: Clock) -> None:
    clock.ms = START_MS + 20
    for key, costs, state in (
        ("requests:r", ("", ""), kept(PLAIN, 54)),
        ("tokens:t", ("7", "5"), kept(WEIGHTED, WEIGHTED_BYTES)),
    ):
        for ordinal, cost in enumerate(costs, 1):
            await redis.xadd(
                f"sluice:{{TENANT:acme}}:{key}:acme", {"": cost}, f"{START_MS + 10 * ordinal - 10}-{ordinal}"
            )
        await redis.set(f"sluice:{{TENANT:acme}}:{key}:acme:s", state)
    await redis.zadd("sluice:{TENANT:acme}:slots:c:acme", {"another": START_MS + 30_000})
    charges = [Charge(REQUESTS, "acme"), Charge(TOKENS, "acme", 1), Charge(SLOTS, "acme")]
    assert [window.used for window in (await limiter.peek(charges)).windows] == [2, 9, 1]
    clock.ms = START_MS + 60_000  # the older entry and the lease have left
    assert [window.used for window in (await limiter.acquire(charges)).windows] == [2, 3, 1]
