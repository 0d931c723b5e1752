"""Byte pairs against a slow and plain joining of them, one pair after the other."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.tokenizer import BPETokenizer, ByteTokenizer, TextDecoder, Tokenizer

TEXT = "the cat's mat, the 44 hats; čtyři řádky\n\tat that\n" * 20
WORDS = re.compile(
    r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]{1,64}| ?\d{1,64}| ?[^\s\w]{1,64}|\s{1,64}(?!\S)|\s{1,64}"
)
LETTERS = "thecat's mat,4;čř\n\t"


@pytest.fixture(scope="module")
def learned() -> BPETokenizer:
    return BPETokenizer.train(TEXT, 300)


def plainly(tokenizer: BPETokenizer, text: str) -> list[int]:
    """Of each word the pair that was learned first is joined, wherever it is, till none is left."""
    model = tokenizer.document()["tokenizer"]["model"]
    ids = model["vocab"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    letter_of = {tokenizer.token_bytes(ids[token]): token for token in ids if len(token) == 1}
    found = []
    for word in WORDS.findall(text):
        parts = [letter_of[bytes([byte])] for byte in word.encode()]
        while known := [pair for pair in pairwise(parts) if pair in merges]:
            left, right = min(known, key=merges.index)
            joined, at = [], 0
            while at < len(parts):
                is_pair = parts[at : at + 2] == [left, right]
                joined.append(left + right if is_pair else parts[at])
                at += 2 if is_pair else 1
            parts = joined
        found += [ids[part] for part in parts]
    return found


@settings(max_examples=60)
@given(st.text(LETTERS, max_size=40))
def test_the_pairs_are_joined_in_the_order_they_were_learned(
    learned: BPETokenizer, text: str
) -> None:
    assert learned.encode(text) == plainly(learned, text)


@given(st.text(), st.sampled_from(["byte", "bpe"]), st.lists(st.integers(0, 40), max_size=6))
def test_any_text_comes_back_whole_and_bit_by_bit(
    learned: BPETokenizer, text: str, kind: str, sizes: list[int]
) -> None:
    tokenizer: Tokenizer = learned if kind == "bpe" else ByteTokenizer()
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()
    decoder, parts, rest = TextDecoder(tokenizer), [], ids
    for size in sizes:
        parts.append(decoder.feed(*rest[:size]))
        rest = rest[size:]
    assert "".join([*parts, decoder.feed(*rest), decoder.flush()]) == text


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_as_python_does(learned: BPETokenizer, data: bytes) -> None:
    for tokenizer in (ByteTokenizer(), learned):
        id_of = {tokenizer.token_bytes(id): id for id in range(256)}
        ids = [id_of[bytes([byte])] for byte in data]
        decoder = TextDecoder(tokenizer)
        streamed = "".join([*(decoder.feed(id) for id in ids), decoder.flush()])
        assert streamed == tokenizer.decode(ids) == data.decode("utf-8", "replace")
