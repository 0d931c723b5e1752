"""Pickles of plain data are read as `pickle` reads them, and nothing else is."""

import pickle
from collections import OrderedDict
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.interop.plain_pickle import MOST_BYTES, NotPlain, read_plain_pickle
from tests.foreign_models import LETTERS, Planted, meta

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
)
KEYS = st.text() | st.integers(-(2**31), 2**31)
PLAIN = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner) | st.dictionaries(KEYS, inner) | st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=8,
)


@given(PLAIN, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_data_of_every_protocol(data: object, protocol: int) -> None:
    found = read_plain_pickle(pickle.dumps(data, protocol))
    assert found == data
    assert repr(found) == repr(data), "1, 1.0 and True are told apart"


def test_what_is_named_twice_is_the_same() -> None:
    shared = ["a"]
    first, second = read_plain_pickle(pickle.dumps([shared, shared]))
    assert first is second


def test_numbers_of_what_is_named_are_the_pickles_own() -> None:
    program = b"(K\x05q\x07K\x06q\x02h\x07h\x02l."
    assert read_plain_pickle(program) == pickle.loads(program) == [5, 6, 5, 6]


@pytest.mark.parametrize("protocol", range(6))
def test_nanogpts_meta(protocol: int) -> None:
    assert read_plain_pickle(pickle.dumps(meta(LETTERS), protocol)) == meta(LETTERS)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Planted(print, "called"), "print"),
        (OrderedDict(a=1), "OrderedDict"),
        ({1, 2}, "set|EMPTY_SET"),
        (b"bytes", "encode|bytes|BYTES"),
        (1j, "complex"),
        (PurePosixPath("a"), "PurePosixPath"),
        (print, "print"),
    ],
    ids=lambda value: f"{value!s:.20}",
)
def test_everything_else_is_refused(
    value: object, name: str, protocol: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotPlain, match=name):
        read_plain_pickle(pickle.dumps({"itos": value}, protocol))
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b".",
        b"\x80\x04",
        b"\x80\x04.",
        b"t.",
        b"h\x05.",
        b"q\x05.",
        b"]a.",
        b"K\x01K\x02a.",
        b"(K\x01K\x02e.",
        b"}K\x01s.",
        b"}(K\x01u.",
        b"]K\x01K\x02s.",
        b"K\x01\x86.",
        b"})K\x01s.",
        b"}]K\x01s.",
        b"}\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01K\x01s.",
        b"I" + b"9" * 5000 + b"\n.",
        b"K\x01K\x02R.",
        b"}}b.",
        b"K\x01Q.",
        b"P1\n.",
        b"K\x01K\x02\x93.",
        b"]" * (MOST_BYTES + 1),
    ],
    ids=lambda program: f"{program!r:.20}",
)
def test_damage_is_refused(program: bytes) -> None:
    with pytest.raises(NotPlain):
        read_plain_pickle(program)
