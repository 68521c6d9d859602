"""What can be set about the quality of service: the bands, and what each may have. docs/qos.md explains every knob.

Shares are of a pool's slots, whatever their number is at the moment; `shares` turns them into whole slots.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from policies.entities import QOS_TIERS, Name
from policies.quantities import DurationMs

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a pool's slots: 0.25 of 64 slots are 16."""


class Settings(BaseModel):
    """Base: a key that is not known is an error, and values do not change later."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class BandSettings(Settings):
    """What one band may have of every pool."""

    name: Name
    """The QoS tier of its tenants."""
    reserve: Share = 0.0
    """Share of the slots that it is entitled to: below it, its requests go before those of every band that has its own,
    higher ones too. Nothing is held empty for it. Whole slots are rounded down, but a reserve is at least one slot
    wherever the pool has one left for it."""
    cap: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Largest share of the slots that it may ever use, even while others are idle. Rounded up to whole slots."""
    queue_bound: Annotated[int, Field(ge=0, le=10_000_000)] = 1_000
    """Most requests that wait in one pool; more are shed (`queue_full`). 0: none ever waits."""
    longest_wait: DurationMs = 30_000
    """How long a request waits before it is given up (`queue_timeout`). Milliseconds; written as `30s`. A request's own
    deadline can shorten it, never lengthen it."""

    @property
    def longest_wait_s(self) -> float:
        return self.longest_wait / 1_000

    @model_validator(mode="after")
    def _cap_holds_the_reserve(self) -> Self:
        if self.cap < self.reserve:
            raise ValueError(
                f"cap: band {self.name!r} may use {self.cap:g} of the slots but reserves {self.reserve:g}; "
                f"a cap is at least the reserve"
            )
        return self


def _default_bands() -> tuple[BandSettings, ...]:
    internal, premium, standard, batch = QOS_TIERS
    return (
        BandSettings(name=internal, reserve=0.10, queue_bound=1_000, longest_wait=30_000),
        BandSettings(name=premium, reserve=0.40, queue_bound=1_000, longest_wait=30_000),
        BandSettings(name=standard, reserve=0.20, queue_bound=1_000, longest_wait=30_000),
        BandSettings(name=batch, reserve=0.05, cap=0.95, queue_bound=10_000, longest_wait=300_000),
    )


class QosSettings(Settings):
    """How pools are shared."""

    bands: Annotated[tuple[BandSettings, ...], Field(min_length=1, max_length=16)] = Field(
        default_factory=_default_bands
    )
    """Highest first: above its reserve, a band is served when no band before it has a request that may start."""
    lease_block: Annotated[int, Field(ge=0, le=1_024)] = 4
    """Most slots lent to an ingress replica in one answer, for starting without asking. 0: every start asks."""

    @model_validator(mode="after")
    def _bands_fit(self) -> Self:
        names = [band.name for band in self.bands]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"bands: {twice[0]!r} is named {names.count(twice[0])} times; each band once")
        reserved = sum(band.reserve for band in self.bands)
        if reserved > 1 + 1e-9:
            raise ValueError(f"bands: the reserves add up to {reserved:g}; all slots are 1, so lower some")
        return self
