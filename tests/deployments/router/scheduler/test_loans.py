from deployments.router.scheduler import Recall
from deployments.router.scheduler.loans import Loans


def test_recalled_slots_come_back_first() -> None:
    loans = Loans("p")
    loans.lend("h1", "a", 3)
    assert loans.recall("a") == [Recall("h1", "p", "a", 3)]
    assert loans.recall("a") == []  # they are recalled already
    loans.lend("h1", "a", 2)
    assert loans.give_back("h1", "a", 3) == 3
    assert loans.outstanding() == []
    assert loans.recall("a") == [Recall("h1", "p", "a", 2)]
    assert loans.outstanding() == [Recall("h1", "p", "a", 2)]
    assert loans.give_back("h1", "a", 5) == 2
    assert loans.holders() == set()


def test_only_the_band_is_recalled() -> None:
    loans = Loans("p")
    loans.lend("h1", "a", 1)
    loans.lend("h1", "b", 2)
    loans.lend("h2", "b", 4)
    assert loans.recall("b") == [Recall("h1", "p", "b", 2), Recall("h2", "p", "b", 4)]
    assert loans.of("h1") == [("a", 1), ("b", 2)]


def test_nobody_gives_back_what_they_do_not_have() -> None:
    loans = Loans("p")
    assert loans.give_back("h1", "a", 1) == 0
    loans.lend("h1", "a", 1)
    assert loans.give_back("h1", "a", -1) == 0
    assert loans.give_back("h1", "a", 9) == 1
