"""The ingress's side by itself, message by message."""

from collections.abc import Callable

import pytest

from deployments.router.exchange.holder import Slot, SlotHolder
from deployments.router.exchange.messages import (
    Ask,
    CallBack,
    End,
    Granted,
    Held,
    Lend,
    Lent,
    News,
    Notice,
    Op,
    Open,
    Refused,
    Return,
    Spent,
    Wanted,
)
from deployments.router.exchange.timing import IDLE_LEASE_S, LATE_S, LEASE_VALID_S

W = Wanted("p", "standard", "acme", 1.0, 10, 5.0)


class Scene:
    """A holder, its clock, and a router that says what the test has it say."""

    def __init__(self) -> None:
        self.now, self.urgent, self.said = 100.0, 0, 0
        self.holder = SlotHolder("i", lambda: self.now, self._urgent)
        self.settled: list[Slot | Refused] = []

    def _urgent(self) -> None:
        self.urgent += 1

    def ops(self) -> tuple[Op, ...]:
        """What the router has not confirmed."""
        return self.holder.report().ops

    def hear(self, *notices: Notice) -> None:
        """Confirms everything, and says these."""
        report = self.holder.report()
        heard = report.first + len(report.ops) - 1
        self.holder.hear(News(report.session, True, heard, self.said + 1, notices), self.now)
        self.said += len(notices)

    def ask(self) -> None:
        self.holder.ask(W, self.settled.append)


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.hear()
    return scene


def test_it_begins_by_saying_that_it_holds_nothing() -> None:
    assert Scene().ops() == (Open((), (), ()),)


def test_a_slot_that_was_asked_for(scene: Scene) -> None:
    assert scene.holder.take(W) is None
    scene.ask()
    assert scene.ops() == (Ask(1, W),)
    scene.hear(Granted(1))
    (slot,) = scene.settled
    assert isinstance(slot, Slot)
    assert scene.holder.in_use("p") == 1
    scene.holder.release(slot, 7)
    scene.holder.release(slot, 7)
    assert scene.ops() == (End(1, 7),), "once"


def test_a_refusal(scene: Scene) -> None:
    scene.ask()
    refused = Refused(1, "queue_full", 3.0)
    scene.hear(refused)
    assert scene.settled == [refused]


def test_slots_on_loan(scene: Scene) -> None:
    scene.hear(Lend("p", "standard", 2))
    urgent = scene.urgent
    one, two = scene.holder.take(W), scene.holder.take(W)
    assert one
    assert two
    assert scene.holder.take(W) is None
    scene.now += 2
    scene.holder.release(one, 7)
    scene.holder.release(two, None)
    assert scene.urgent == urgent, "nobody has to hear of that at once"
    assert scene.ops() == (Spent("p", "standard", "acme", 1.0, 7, 1, 2.0),), "what never ran was not spent"
    assert scene.holder.unused("p") == 2


def test_a_loan_is_for_its_band(scene: Scene) -> None:
    scene.hear(Lend("p", "premium", 2))
    assert scene.holder.take(W) is None


def test_what_is_called_back_goes_when_it_falls_free(scene: Scene) -> None:
    scene.hear(Lend("p", "standard", 3))
    slot = scene.holder.take(W)
    assert slot
    scene.hear(CallBack("p", "standard", 3))
    assert scene.ops() == (Return("p", "standard", 2),)
    assert scene.holder.take(W) is None
    scene.hear()
    scene.holder.release(slot, 1)
    assert Return("p", "standard", 1) in scene.ops()
    assert scene.holder.unused("p") == 0


def test_more_is_called_back_than_is_there(scene: Scene) -> None:
    scene.hear(Lend("p", "standard", 1))
    scene.hear(CallBack("p", "standard", 5))
    scene.hear(Lend("p", "standard", 1))
    slot = scene.holder.take(W)
    assert slot
    scene.holder.release(slot, 1)
    assert scene.holder.unused("p") == 1, "a later loan is not what was called back"


def test_unused_slots_are_good_for_as_long_as_the_router_is_heard(scene: Scene) -> None:
    scene.hear(Lend("p", "standard", 1))
    scene.now += LEASE_VALID_S + 0.1
    assert scene.holder.take(W) is None
    scene.hear()
    assert scene.holder.take(W)


def test_slots_that_nobody_uses_go_back(scene: Scene) -> None:
    scene.hear(Lend("p", "standard", 2))
    scene.now += IDLE_LEASE_S - 1
    scene.hear()
    slot = scene.holder.take(W)
    assert slot
    scene.holder.release(slot, None)
    scene.now += 2
    scene.holder.tick()
    assert Return("p", "standard", 1) in scene.ops(), "one of the two was used a moment ago"


def test_who_leaves_gives_back_what_is_on_its_way(scene: Scene) -> None:
    ticket = scene.holder.ask(W, scene.settled.append)
    scene.holder.leave(ticket)
    scene.holder.leave(ticket)
    assert scene.ops() == (Ask(1, W), End(1, None))
    scene.hear(Granted(1))
    assert scene.settled == []
    assert scene.holder.in_use("p") == 0


def test_a_refusal_that_never_comes(scene: Scene) -> None:
    scene.ask()
    scene.now += W.wait_s + LATE_S + 0.1
    scene.holder.tick()
    (refused,) = scene.settled
    assert isinstance(refused, Refused)
    assert refused.reason == "queue_timeout"


def test_notices_are_taken_once_and_in_order(scene: Scene) -> None:
    lend = Lend("p", "standard", 1)
    session = scene.holder.session
    scene.holder.hear(News(session, True, 1, 2, (lend,)), scene.now)
    assert scene.holder.unused("p") == 0, "the first is missing"
    for _ in range(2):
        scene.holder.hear(News(session, True, 1, 1, (lend, lend)), scene.now)
    assert scene.holder.unused("p") == 2
    scene.holder.hear(News(session, True, 1, 2, (lend, lend)), scene.now)
    assert scene.holder.unused("p") == 3
    scene.holder.hear(News(session - 1, True, 1, 4, (lend,)), scene.now)
    assert scene.holder.unused("p") == 3, "another session"


def test_a_router_that_knows_nothing_is_told_everything(scene: Scene) -> None:
    scene.ask()
    scene.ask()
    scene.hear(Granted(1), Lend("p", "standard", 3))
    assert scene.holder.take(W)
    scene.now += 1
    scene.holder.hear(News(scene.holder.session, False, 0, 1, ()), scene.now)
    report = scene.holder.report()
    assert report.first == 1
    assert report.ops == (
        Open((Held(1, W, 1.0),), (Lent("p", "standard", 1),), (2,)),
        Ask(2, Wanted("p", "standard", "acme", 1.0, 10, 4.0)),
    )
    assert scene.holder.unused("p") == 0, "the router may have given them to others"


@pytest.mark.parametrize("settle", [lambda s: s.hear(Granted(1)), lambda s: s.hear(Refused(1, "queue_full", 1.0))])
def test_a_ticket_is_settled_once(scene: Scene, settle: Callable[[Scene], None]) -> None:
    scene.ask()
    settle(scene)
    scene.now += 100
    scene.holder.tick()
    assert len(scene.settled) == 1


def test_what_is_heard_too_late_may_be_true_no_more(scene: Scene) -> None:
    scene.ask()
    report, sent_at = scene.holder.report(), scene.now
    scene.now += LEASE_VALID_S + 0.1  # this process stood still; the router may have given its slots to others
    news = News(report.session, True, report.first, scene.said + 1, (Granted(1),))
    scene.holder.hear(news, sent_at)
    assert scene.settled == []
    assert scene.holder.in_use("p") == 0
    scene.holder.hear(news, scene.now)
    assert [type(outcome) for outcome in scene.settled] == [Slot]


def test_what_is_to_be_said_does_not_grow_while_the_router_is_away(scene: Scene) -> None:
    for _ in range(20_000):
        ticket = scene.holder.ask(W, scene.settled.append)
        scene.holder.leave(ticket)
    scene.ask()
    scene.holder.tick()
    ops = scene.ops()
    assert len(ops) < 10_000
    assert isinstance(ops[0], Open)
    assert [op.ticket for op in ops if isinstance(op, Ask)] == list(ops[0].waiting), "what waits is asked for anew"


def test_the_census_tells_who_waits_and_who_runs(scene: Scene) -> None:
    other = Wanted("p", "premium", "globex", 1.0, 10, 5.0)
    assert scene.holder.census() == {}
    scene.hear(Lend("p", "standard", 2))
    on_loan = [scene.holder.take(W), scene.holder.take(W)]
    scene.ask()
    scene.now += 2
    scene.ask()
    scene.holder.ask(other, scene.settled.append)
    assert scene.holder.walked == 3
    assert scene.holder.census() == {
        ("p", "standard", "acme"): (2, 2, 2.0),
        ("p", "premium", "globex"): (1, 0, 0.0),
    }
    scene.hear(Granted(1), Granted(3))
    assert scene.holder.census() == {
        ("p", "standard", "acme"): (1, 3, 0.0),
        ("p", "premium", "globex"): (0, 1, 0.0),
    }
    for slot in (*on_loan, *scene.settled):
        assert isinstance(slot, Slot)
        scene.holder.release(slot, 5)
        scene.holder.release(slot, 5)  # once more changes nothing
    assert scene.holder.census() == {("p", "standard", "acme"): (1, 0, 0.0)}
