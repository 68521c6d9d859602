from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.models.engines.stopping import StopTexts


def passed(stops: tuple[str, ...], pieces: Iterable[str]) -> tuple[list[str], bool]:
    """What comes of each piece, what is left at the end included, and whether it was stopped."""
    texts = StopTexts(stops)
    out = [texts.push(piece) for piece in pieces]
    return [*out, texts.flush()], texts.stopped


@pytest.mark.parametrize(
    ("stops", "pieces", "out", "stopped"),
    [
        ((), ["a", "b"], ["a", "b", ""], False),
        (("",), ["a", ""], ["a", "", ""], False),
        (("END",), ["the EN", "D of it"], ["the ", "", ""], True),
        (("END",), ["the EN", "TRY"], ["the ", "ENTRY", ""], False),
        (("END",), ["the EN"], ["the ", "EN"], False),  # it ended by itself: what was withheld belongs to it
        (("\n\n",), ["a\n", "b\n", "\nc", "d"], ["a", "\nb", "", "", ""], True),
        (("aab",), ["aa", "aa", "b"], ["", "aa", "", ""], True),
        (("aba",), ["ab", "ab", "a"], ["", "", "", ""], True),
        (("cd", "bcde"), ["abcde"], ["ab", ""], True),  # "cd" is complete before "bcde"
        (("bc", "abc"), ["abc"], ["", ""], True),  # both end here: the longer one
        (("🌊",), ["a🌊b"], ["a", ""], True),
    ],
)
def test_stop_texts(stops: tuple[str, ...], pieces: list[str], out: list[str], stopped: bool) -> None:
    assert passed(stops, pieces) == (out, stopped)


@given(
    st.lists(st.text("ab", max_size=5), max_size=3).map(tuple),
    st.lists(st.text("ab", max_size=4), max_size=12),
)
def test_where_pieces_end_makes_no_difference(stops: tuple[str, ...], pieces: list[str]) -> None:
    out, stopped = passed(stops, pieces)
    by_letter, stopped_by_letter = passed(stops, "".join(pieces))
    assert ("".join(out), stopped) == ("".join(by_letter), stopped_by_letter)


@given(
    st.lists(st.text("ab", min_size=1, max_size=5), max_size=3).map(tuple),
    st.lists(st.text("ab", max_size=4), max_size=12),
)
def test_nothing_of_a_stop_text_is_passed_on_and_nothing_else_is_lost(
    stops: tuple[str, ...], pieces: list[str]
) -> None:
    out, stopped = passed(stops, pieces)
    whole, text = "".join(pieces), "".join(out)
    ends = [(at + len(stop), at) for stop in stops if (at := whole.find(stop)) >= 0]
    assert (text, stopped) == (whole[: min(ends)[1]] if ends else whole, bool(ends))
    # What was passed on was never too early: after each piece it is no more than what all stop texts leave.
    said = ""
    for number, piece in enumerate(out[:-1]):
        said += piece
        came = "".join(pieces[: number + 1])
        assert came.startswith(said)
        assert text.startswith(said)
