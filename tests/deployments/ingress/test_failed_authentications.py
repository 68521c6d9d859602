"""The limit on failed authentications: exact, of one address each, and bounded in memory."""

import asyncio
import random

import pytest

from deployments.ingress import failed_authentications
from deployments.ingress.failed_authentications import UNLIMITED, FailedAuthentications


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_the_window_slides() -> None:
    clock = Clock()
    failed = FailedAuthentications(3, clock)
    for _ in range(3):
        assert failed.fail("a") == 0
        clock.now += 10
    assert failed.fail("a") == 30
    assert failed.fail("b") == 0
    clock.now += 29.5
    assert failed.fail("a") == 0.5
    clock.now += 0.5
    assert failed.fail("a") == 0
    assert failed.fail("a") == 10


def test_it_never_counts_more_than_the_limit_in_any_window() -> None:
    clock, chance, counted = Clock(), random.Random(1), list[float]()
    failed = FailedAuthentications(5, clock)
    for _ in range(2_000):
        clock.now += chance.random() * 10
        fits = len([at for at in counted if at + failed_authentications.WINDOW_S > clock.now]) < 5
        assert (failed.fail("a") == 0) is fits
        if fits:
            counted.append(clock.now)


async def test_look_ups_at_once_are_no_more_than_the_limit() -> None:
    failed, under_way, most = FailedAuthentications(4, Clock()), 0, 0

    async def attempt(number: int) -> bool:
        nonlocal under_way, most
        if await failed.of("a").begin():
            return False
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        failed.of("a").end(failed=number % 3 == 0)
        return True

    looked_up = await asyncio.gather(*(attempt(number) for number in range(50)))
    assert most == 4
    wrong = [number for number, did in enumerate(looked_up) if did and number % 3 == 0]
    assert len(wrong) == 4
    assert failed.fail("a") > 0


async def test_right_keys_at_once_all_get_their_turn() -> None:
    failed = FailedAuthentications(2, Clock())

    async def attempt() -> None:
        assert await failed.of("a").begin() == 0
        await asyncio.sleep(0)
        failed.of("a").end(failed=False)

    await asyncio.wait_for(asyncio.gather(*(attempt() for _ in range(30))), 5)
    assert failed.fail("a") == 0


async def test_who_waits_and_leaves_passes_its_turn_on() -> None:
    failed = FailedAuthentications(1, Clock())
    assert await failed.of("a").begin() == 0
    waiting = [asyncio.create_task(failed.of("a").begin()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    failed.of("a").end(failed=False)  # it is the first's turn, which has just been cancelled
    waiting[1].cancel()
    assert await asyncio.wait_for(waiting[2], 5) == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_authentications, "MOST_ADDRESSES", 100)
    failed = FailedAuthentications(2, Clock())
    for n in range(1_000):
        failed.fail(f"address {n}")
    assert len(failed) == 100
    for _ in range(1_000):
        failed.fail("address 999")
    assert len(failed._addresses["address 999"].failed) == 2


async def test_no_limit() -> None:
    assert [UNLIMITED.fail() for _ in range(100)] == [0.0] * 100
    assert await UNLIMITED.begin() == 0
    UNLIMITED.end(failed=True)
    assert len(UNLIMITED._all) == 0
