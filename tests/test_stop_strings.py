"""Stop strings against the plain definition: the text up to the first of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.stop_strings import Piece, StopStrings

letters = st.text("ab", max_size=30)


@given(text=letters, stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=4))
def test_no_part_of_a_stop_string_ever_leaves(text: str, stops: list[str]) -> None:
    stopping, sent = StopStrings(stops), ""
    for i, character in enumerate(text):
        sent += "".join(piece.text for piece in stopping.feed(Piece(character, 0.0)))
        so_far = text[: i + 1]
        ends = [at for stop in stops if (at := so_far.find(stop)) >= 0]
        assert stopping.found == bool(ends)
        if ends:
            assert sent == so_far[: min(ends)]
            return
        held = so_far.removeprefix(sent)
        assert sent + held == so_far
        assert held == max(
            (so_far[-n:] for n in range(1, 5) for s in stops if so_far.endswith(s[:n]) and s[n:]),
            key=len,
            default="",
        )
    assert sent + "".join(piece.text for piece in stopping.flush()) == text


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [("one\n\ntwo", ["\n\n"], "one"), ("aab", ["ab"], "a"), ("abc", [], "abc")],
)
def test_examples(text: str, stops: list[str], expected: str) -> None:
    stopping = StopStrings(stops)
    sent = "".join(p.text for c in text if not stopping.found for p in stopping.feed(Piece(c, 0.0)))
    assert sent == expected
