"""Shares of a pool as whole slots, for whatever number of slots the pool has at the moment."""

from collections.abc import Sequence
from math import ceil, floor

from deployments.router.scheduler.settings import BandSettings

ROUNDING = 1e-9
"""What a product of floats may be off by: 0.07 of 100 slots are 7, not 7.000000000000001."""


def whole_slots(bands: Sequence[BandSettings], capacity: int) -> list[tuple[int, int]]:
    """(reserve, cap) of each band in slots.

    Reserves are rounded down, so together they never exceed the capacity. What rounding leaves over goes, one slot each
    and highest band first, to bands whose reserve came out as none: without a whole slot a reserve guarantees nothing.
    Caps are rounded up, and hold the reserve.
    """
    reserves = [floor(band.reserve * capacity + ROUNDING) for band in bands]
    left_over = capacity - sum(reserves)
    for at, band in enumerate(bands):
        if band.reserve > 0 and not reserves[at] and left_over > 0:
            reserves[at] = 1
            left_over -= 1
    caps = [min(capacity, ceil(band.cap * capacity - ROUNDING)) for band in bands]
    return [(reserve, max(reserve, cap)) for reserve, cap in zip(reserves, caps, strict=True)]
