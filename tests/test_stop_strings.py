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


@given(
    pieces=st.lists(st.text("ab", max_size=4), max_size=12),
    stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
)
def test_pieces_of_any_length_give_the_text_up_to_the_stop(
    pieces: list[str], stops: list[str]
) -> None:
    """A piece may have several characters, or none where it only begins one."""
    stopping, sent, text = StopStrings(stops), [], "".join(pieces)
    for piece in pieces:
        if not stopping.found:
            free = stopping.feed(Piece(piece, 0.0))
            assert not free or free[-1].text, "what begins a character waits for its end"
            sent += free
    places = [at for stop in stops if (at := text.find(stop)) >= 0]
    assert stopping.found == bool(places)
    if not places:
        sent += stopping.flush()
        assert [piece.text for piece in sent] == pieces
    else:
        # The first to be complete ends the text, so a longer one may begin before it.
        assert text.startswith("".join(piece.text for piece in sent))
        assert not any(stop in "".join(piece.text for piece in sent) for stop in stops)


@pytest.mark.parametrize(
    ("pieces", "stop", "expected"),
    [
        (["one", "\n\nt", "wo"], "\n\n", ["one"]),
        (["o", "ne\n", "\ntwo"], "\n\n", ["o", "ne"]),
        (["", "", "€"], "€", []),
        (["a", "", "", "€"], "€", ["a"]),
        (["a", "", "é€"], "€", ["a", "", "é"]),
        (["aXbX"], "X", ["a"]),
    ],
)
def test_a_stop_amid_a_piece_cuts_it(pieces: list[str], stop: str, expected: list[str]) -> None:
    stopping, sent = StopStrings([stop]), []
    for piece in pieces:
        sent += stopping.feed(Piece(piece, 0.0, token=piece + "!"))
    assert stopping.found
    assert [piece.text for piece in sent] == expected
    assert [piece.token for piece in sent] == [piece + "!" for piece in pieces[: len(sent)]]


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [("one\n\ntwo", ["\n\n"], "one"), ("aab", ["ab"], "a"), ("abc", [], "abc")],
)
def test_examples(text: str, stops: list[str], expected: str) -> None:
    stopping = StopStrings(stops)
    sent = "".join(p.text for c in text if not stopping.found for p in stopping.feed(Piece(c, 0.0)))
    assert sent == expected
