"""Who sends what: tenants whose requests come in bursts, and batch jobs that always have more to do.

All is drawn from seeded generators, one for each source: the same source sends the same requests at the same times
whoever else is there, so that two runs can be compared request by request.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log, pi, sin
from random import Random
from zlib import crc32

DAY_S = 86_400.0

PREFILL_TOKENS_PER_S = 4_000.0
"""How fast the simulated model reads a prompt."""
FIRST_TOKEN_S = 0.15
"""What the first token takes besides."""
TOKENS_PER_S = 50.0
"""How fast it then writes, in each slot."""
REPLY_CAP_TOKENS = 1_024
"""What clients name as `max_tokens`, and so what a request is expected to cost besides its prompt."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request: what it asks, and how long the simulated model will take for it."""

    tenant: str
    band: str
    weight: float
    input_tokens: int
    output_tokens: int
    first_token_s: float
    """From its start to its first token."""

    @property
    def hold_s(self) -> float:
        """How long it holds its slot."""
        return self.first_token_s + self.output_tokens / TOKENS_PER_S

    @property
    def cost_tokens(self) -> int:
        return self.input_tokens + REPLY_CAP_TOKENS

    @property
    def actual_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Source:
    """One tenant's requests."""

    tenant: str
    band: str
    rate_per_s: float
    """Mean rate outside bursts, at the middle of the day's curve."""
    weight: float = 1.0
    input_tokens: int = 1_500
    """Median of a log-normal distribution."""
    output_tokens: int = 400
    """Median of a log-normal distribution, cut at the reply's cap."""
    spread: float = 0.8
    """Sigma of both."""
    burst: float = 1.0
    """By what the rate is multiplied in a burst; 1: none."""
    burst_s: float = 60.0
    """Mean length of a burst."""
    calm_s: float = 600.0
    """Mean time between bursts."""
    day_curve: float = 0.0
    """How much the rate swings over the day: 0.5 is from half at night to one and a half in the afternoon."""
    window: int = 0
    """0: every request is sent when it comes, and lost when it is shed. Else a batch worker: it keeps at most so many
    sent, holds the others back, and comes back later with those that were shed."""
    from_s: float = 0.0
    until_s: float = DAY_S

    def jobs(self, seed: int) -> Iterator[tuple[float, Job]]:
        """When each request comes, and what it is; without end."""
        when, what = (
            Random(crc32(f"{seed}/when/{self.tenant}".encode())),
            Random(crc32(f"{seed}/what/{self.tenant}".encode())),
        )
        for at_s in self._times(when):
            yield at_s, self._job(what)

    def mean_hold_s(self, seed: int = 0, sample: int = 4_000) -> float:
        """How long its requests hold a slot, on average, by drawing some."""
        what = Random(seed)
        return sum(self._job(what).hold_s for _ in range(sample)) / sample

    def _times(self, draw: Random) -> Iterator[float]:
        """A Poisson process whose rate follows bursts and the day, by thinning one of the highest rate."""
        at_s, bursting = self.from_s, False
        changes_s = at_s + draw.expovariate(1 / self.calm_s)
        highest = self.rate_per_s * max(self.burst, 1.0) * (1 + self.day_curve)
        while at_s < self.until_s:
            at_s += draw.expovariate(highest)
            while at_s >= changes_s:
                bursting = not bursting
                changes_s += draw.expovariate(1 / (self.burst_s if bursting else self.calm_s))
            rate = self.rate_per_s * (self.burst if bursting and self.burst > 1 else 1.0)
            rate *= 1 + self.day_curve * sin(2 * pi * (at_s / DAY_S - 0.4))
            if draw.random() * highest < rate and at_s < self.until_s:
                yield at_s

    def _job(self, draw: Random) -> Job:
        input_tokens = max(1, round(exp(draw.gauss(log(self.input_tokens), self.spread))))
        output_tokens = min(REPLY_CAP_TOKENS, max(1, round(exp(draw.gauss(log(self.output_tokens), self.spread)))))
        noise = exp(draw.gauss(0, 0.2))
        first_token_s = (FIRST_TOKEN_S + input_tokens / PREFILL_TOKENS_PER_S) * noise
        return Job(self.tenant, self.band, self.weight, input_tokens, output_tokens, first_token_s)
