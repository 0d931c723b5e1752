"""Server-sent events out of bytes: as the standard says, wherever they are cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sidelight.server_events import EventParser, ServerEvent

# The examples of the standard, and what it says besides: comments, fields without a value or a
# space, unknown fields, a byte order mark, all three ends of a line, a last event without its end.
SENT = (
    "\ufeffdata: YHOO\ndata: +2\n: a comment\ndata: 10\n\n"
    "data: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
    "data\n\ndata\ndata\n\n"
    "event: add\r\ndata: 73857293\r\n\r\nevent:remove\rdata:2153\rid: 2\r\r"
    "nonsense: x\nretry: 10\nevent: nothing\n\n"
    "id: no\0pe\ndata: \u00e9\u2028\u0085\u20ac\U0001f600\x0b\x1c\n\ndata: never ended\n"
)
TOLD = [
    ServerEvent("message", "YHOO\n+2\n10", None),
    ServerEvent("message", "first event", "1"),
    ServerEvent("message", "second event", ""),
    ServerEvent("message", " third event", ""),
    ServerEvent("message", "", ""),
    ServerEvent("message", "\n", ""),
    ServerEvent("add", "73857293", ""),
    ServerEvent("remove", "2153", "2"),
    ServerEvent("message", "\u00e9\u2028\u0085\u20ac\U0001f600\x0b\x1c", "2"),
]


def parsed(parts: list[bytes]) -> list[ServerEvent]:
    parser = EventParser()
    return [event for part in parts for event in parser.feed(part)]


def test_events_are_as_the_standard_says() -> None:
    assert parsed([SENT.encode()]) == TOLD
    assert parsed([bytes([byte]) for byte in SENT.encode()]) == TOLD


@given(st.lists(st.integers(0, len(SENT.encode()))))
def test_it_does_not_matter_where_they_are_cut(cuts: list[int]) -> None:
    sent = SENT.encode()
    places = [0, *sorted(cuts), len(sent)]
    assert parsed([sent[a:b] for a, b in pairwise(places)]) == TOLD


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert parsed([b"data: a\xffb\n\n"]) == [ServerEvent("message", "a\ufffdb", None)]


def test_an_event_comes_as_soon_as_it_is_complete() -> None:
    parser = EventParser()
    assert not list(parser.feed(b"data: a\n"))
    assert list(parser.feed(b"\nda")) == [ServerEvent("message", "a", None)]
    assert list(parser.feed(b"ta: b\r\n\r\n")) == [ServerEvent("message", "b", None)]
