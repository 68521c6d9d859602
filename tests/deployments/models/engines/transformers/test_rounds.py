"""Who goes next, and with whom."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from deployments.models.engines.transformers.rounds import Job, Piece, Turns, batches


def job(*lengths: int) -> Job:
    return Job([[0] * length for length in lengths])


def lengths(pieces: Sequence[Piece[Job]]) -> list[int]:
    return [len(piece.tokens) for piece in pieces]


def test_requests_take_turns() -> None:
    turns: Turns[Job] = Turns()
    large, small = job(10, 11, 12, 13), job(20)
    turns.add(large)
    turns.add(small)
    assert lengths(turns.next_round(45)) == [10, 20, 11]
    assert lengths(turns.next_round(45)) == [12, 13]
    assert not turns


def test_an_input_longer_than_a_round_has_one_of_its_own() -> None:
    turns: Turns[Job] = Turns()
    turns.add(job(5, 5))
    turns.add(job(100))
    assert [lengths(turns.next_round(20)) for _ in range(3)] == [[5], [100], [5]]
    assert turns.next_round(20) == []


def test_what_has_ended_is_dropped() -> None:
    turns: Turns[Job] = Turns()
    gone, stays = job(1, 1, 1), job(2)
    turns.add(gone)
    turns.add(stays)
    assert lengths(turns.next_round(1)) == [1]
    gone.ended = True
    assert lengths(turns.next_round(10)) == [2]
    assert not turns


def test_near_lengths_run_together() -> None:
    pieces = [Piece(each, 0) for each in (job(3), job(100), job(4), job(90), job(5))]
    assert [lengths(batch) for batch in batches(pieces, 1_000, padding_tokens=16)] == [[100, 90], [5, 4, 3]]
    assert [lengths(batch) for batch in batches(pieces, 1_000, padding_tokens=1_000)] == [[100, 90, 5, 4, 3]]


def test_a_batch_holds_no_more_than_its_tokens_with_padding() -> None:
    pieces = [Piece(job(10), 0) for _ in range(7)]
    assert [len(batch) for batch in batches(pieces, 30, padding_tokens=0)] == [3, 3, 1]


@given(
    st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=8), max_size=8),
    st.integers(1, 100),
    st.integers(0, 100),
)
def test_every_input_runs_once(requests: list[list[int]], most_tokens: int, padding_tokens: int) -> None:
    turns: Turns[Job] = Turns()
    jobs = [job(*each) for each in requests]
    for each in jobs:
        turns.add(each)
    ran: list[tuple[int, int]] = []
    while turns:
        pieces = turns.next_round(most_tokens)
        assert len(pieces) == 1 or sum(lengths(pieces)) <= most_tokens
        for batch in batches(pieces, most_tokens, padding_tokens):
            longest = max(lengths(batch))
            assert len(batch) == 1 or longest * len(batch) <= most_tokens
            assert sum(longest - length for length in lengths(batch)) <= padding_tokens
            ran += [(jobs.index(piece.job), piece.index) for piece in batch]
    assert sorted(ran) == [(number, index) for number, each in enumerate(requests) for index in range(len(each))]
