"""The router's side by itself, message by message."""

from typing import Any

import pytest

from deployments.router.exchange.book import SlotBook
from deployments.router.exchange.messages import (
    Ask,
    CallBack,
    End,
    Granted,
    Held,
    Lend,
    Lent,
    News,
    Op,
    Open,
    Refused,
    Report,
    Return,
    Wanted,
)
from deployments.router.exchange.timing import GRACE_S, SILENCE_S
from deployments.router.scheduler import QosSettings

W = Wanted("p", "standard", "acme", 1.0, 10, 5.0)
NOTHING = Open((), (), ())


class Scene:
    """A book, its clock, and ingresses that say what the test has them say."""

    def __init__(self, slots: int = 2, grace_s: float = 0, block: int = 0) -> None:
        self.now = 100.0
        self.book = SlotBook(["p"], QosSettings(lease_block=block), lambda: self.now, grace_s)
        self.book.set_capacity("p", slots)
        self._said: dict[tuple[str, int], int] = {}

    def say(self, ingress: str, *ops: Op, session: int = 1, heard: int = 0) -> News:
        first = self._said.get((ingress, session), 0) + 1
        self._said[ingress, session] = first + len(ops) - 1
        return self.send(Report(ingress, session, first, ops, heard))

    def send(self, report: Report) -> News:
        self.book.take(report)
        return self.book.news(report)

    @property
    def used(self) -> int:
        return self.book.statistics()[0].used


def test_what_is_free_is_granted_in_the_same_answer() -> None:
    scene = Scene()
    news = scene.say("a", NOTHING, Ask(1, W))
    assert news == News(1, True, 2, 1, (Granted(1),))
    assert scene.say("a", heard=1).notices == ()


def test_notices_are_repeated_until_they_are_confirmed() -> None:
    scene = Scene()
    scene.say("a", NOTHING, Ask(1, W))
    report = Report("a", 1, 3, (), 0)
    assert not scene.book.must_answer(report), "an answer has told it already"
    assert scene.send(report).notices == (Granted(1),)


def test_the_same_report_twice_does_nothing_twice() -> None:
    scene = Scene(slots=5)
    report = Report("a", 1, 1, (NOTHING, Ask(1, W), Ask(2, W)), 0)
    assert scene.send(report) == scene.send(report)
    assert scene.used == 2


def test_ops_behind_a_gap_are_not_taken() -> None:
    scene = Scene()
    scene.say("a", NOTHING)
    assert scene.send(Report("a", 1, 3, (Ask(2, W),), 0)).heard == 1
    assert scene.used == 0


def test_a_session_begins_with_what_is_held() -> None:
    scene = Scene()
    assert scene.send(Report("a", 1, 1, (Ask(1, W),), 0)).known is False
    assert scene.send(Report("a", 1, 2, (Ask(1, W),), 0)).known is False
    assert scene.used == 0


def test_a_slot_goes_to_who_waits() -> None:
    scene = Scene(slots=1)
    scene.say("a", NOTHING, Ask(1, W))
    assert scene.say("b", NOTHING, Ask(1, W)).notices == ()
    scene.say("a", End(1, 5))
    assert scene.book.with_news() == {"b"}
    assert scene.say("b").notices == (Granted(1),)


def test_free_slots_are_lent_and_called_back() -> None:
    scene = Scene(slots=3, block=4)
    assert scene.say("a", NOTHING, Ask(1, W)).notices == (Granted(1), Lend("p", "standard", 1))
    scene.say("b", NOTHING, Ask(1, W), Ask(2, W))
    assert scene.book.with_news() == {"a"}
    assert scene.say("a", heard=2).notices == (CallBack("p", "standard", 1),)
    scene.say("a", Return("p", "standard", 1))
    assert Granted(2) in scene.say("b").notices


@pytest.mark.parametrize(
    "wanted", [W, Wanted("p", "gold", "acme", 1.0, 1, 5.0), Wanted("q", "standard", "a", 1.0, 1, 5.0)]
)
def test_unknown_pools_and_bands(wanted: Wanted) -> None:
    scene = Scene()
    news = scene.say("a", NOTHING, Ask(1, wanted), Return(wanted.pool, wanted.band, 1), Ask(2, W))
    first = Granted(1) if wanted is W else Refused(1, "pool_gone", 1.0)
    assert news.notices == (first, Granted(2)), "and it goes on"


def test_who_is_silent_is_given_up() -> None:
    scene = Scene(slots=1)
    scene.say("a", NOTHING, Ask(1, W))
    scene.now += SILENCE_S - 0.1
    scene.say("b", NOTHING, Ask(1, W))
    assert scene.book.tick() == []
    scene.now += 0.2
    assert scene.book.tick() == ["a"]
    assert scene.say("b").notices == (Granted(1),)
    assert scene.say("a", End(1, 5)).known is False


def test_a_new_router_grants_nothing_before_everybody_could_speak() -> None:
    scene = Scene(slots=2, grace_s=GRACE_S)
    assert scene.say("a", NOTHING, Ask(1, W)).notices == ()
    scene.now += 1
    scene.say("b", Open((Held(7, W, 3.0),), (), ()))
    scene.now += GRACE_S - 1.1
    scene.book.tick()
    assert scene.say("a").notices == ()
    scene.now += 0.2
    scene.book.tick()
    assert scene.say("a").notices == (Granted(1),)
    assert scene.say("a", Ask(2, W)).notices == (Granted(1),), "b has the other"
    scene.say("b", End(7, 1))
    assert scene.say("a").notices == (Granted(1), Granted(2))


def test_another_session_replaces_the_one_before() -> None:
    scene = Scene(slots=4)
    scene.say("a", NOTHING, Ask(1, W), Ask(2, W), Ask(3, W))
    scene.say("a", Open((Held(2, W, 1.0),), (Lent("p", "standard", 1),), ()), session=2)
    assert scene.used == 2
    late = scene.send(Report("a", 1, 5, (End(2, 1),), 0))
    assert late.session == 2, "which the session before does not listen to"
    assert scene.used == 2


def test_who_left_between_two_sessions_waits_no_longer() -> None:
    scene = Scene(slots=1)
    scene.say("a", NOTHING, Ask(1, W), Ask(2, W), Ask(3, W))
    assert scene.book.waiting() == {"p": 2}
    scene.say("a", Open((Held(1, W, 1.0),), (), (3,)), Ask(3, W), session=2)
    assert scene.book.waiting() == {"p": 1}
    assert scene.say("a", End(1, 1), session=2).notices == (Granted(3),)


def test_what_was_called_back_is_called_back_from_the_next_session() -> None:
    scene = Scene(slots=2, block=4)
    scene.say("a", NOTHING, Ask(1, W))
    scene.say("a", End(1, 1), heard=2)
    scene.say("b", NOTHING, Ask(1, W), Ask(2, W))
    news = scene.say("a", Open((), (Lent("p", "standard", 1),), ()), session=2)
    assert news.notices == (CallBack("p", "standard", 1),)


def test_a_request_that_will_not_wait() -> None:
    scene = Scene(slots=1)
    now_or_never: Any = Wanted("p", "standard", "acme", 1.0, 10, 0.0)
    assert scene.say("a", NOTHING, Ask(1, now_or_never)).notices == (Granted(1),)
    scene.say("a", Ask(2, now_or_never))
    scene.now += 0.1
    scene.book.tick()
    (_, refused) = scene.say("a").notices
    assert isinstance(refused, Refused)
    assert refused.reason == "queue_timeout"
