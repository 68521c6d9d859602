"""Once and in order: what is said and what is taken."""

import pytest

from deployments.router.exchange.numbered import Inbox, Outbox

TAKEN: dict[str, tuple[int, tuple[str, ...], tuple[str, ...], int]] = {
    # what: (number of the first, what was said, what of it is new behind two that were taken, taken then)
    "what comes next": (3, ("c", "d"), ("c", "d"), 4),
    "a part of it again": (2, ("b", "c"), ("c",), 3),
    "everything again": (1, ("a", "b", "c"), ("c",), 3),
    "nothing new": (1, ("a", "b"), (), 2),
    "nothing at all": (3, (), (), 2),
    "something is missing before": (4, ("d",), (), 2),
    "nothing said, far ahead": (9, (), (), 2),
}


@pytest.mark.parametrize("case", TAKEN)
def test_the_inbox(case: str) -> None:
    first, said, new, heard = TAKEN[case]
    inbox: Inbox[str] = Inbox()
    assert inbox.take(1, ("a", "b")) == ("a", "b")
    assert inbox.take(first, said) == new
    assert inbox.heard == heard


def test_the_outbox_keeps_what_is_not_confirmed() -> None:
    outbox: Outbox[str] = Outbox()
    assert (outbox.first, outbox.last) == (1, 0)
    for said in "abc":
        outbox.say(said)
    outbox.confirm(2)
    outbox.confirm(1)
    assert (outbox.first, outbox.last, outbox.unconfirmed()) == (3, 3, ("c",))
    outbox.confirm(99)
    outbox.say("d")
    assert (outbox.first, outbox.last, outbox.unconfirmed()) == (4, 4, ("d",))
