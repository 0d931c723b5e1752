"""Text to ids and back, by characters, bytes and byte pairs."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from model import bpe_tokenizer
from model.bpe_document import BYTE_OF
from model.tokenizer import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    TextDecoder,
    Tokenizer,
    UnknownCharacters,
    tokenizer_from,
    train_tokenizer,
)

ROOT = Path(__file__).resolve().parents[1]
TEXT = "Čtyři řádky, 4 × €5.\n  We're the   same; they're not:\n\n🙂🙂 words words words\n" * 9
BPE = BPETokenizer.train(TEXT, 400)
BYTES = ByteTokenizer()
characters = st.characters(codec="utf-8", max_codepoint=0x1FFFF)
anything = st.text(characters, max_size=80) | st.text(" \n'srevto4€🙂ř", max_size=80)
ids = st.lists(st.integers(0, BPE.vocab_size - 1), max_size=30)


# Characters


def test_round_trip() -> None:
    tokenizer = CharTokenizer.from_text("hello\nworld é")
    assert tokenizer.decode(tokenizer.encode("hello é\n")) == "hello é\n"


def test_vocabulary_is_in_code_point_order() -> None:
    assert CharTokenizer.from_text("cab\n").vocabulary == ("\n", "a", "b", "c")


@given(text=anything)
def test_characters_are_places_in_the_vocabulary(text: str) -> None:
    tokenizer = CharTokenizer.from_text(text)
    expected = [tokenizer.vocabulary.index(character) for character in text]
    assert tokenizer.encode(text) == tokenizer.encode_array(text).tolist() == expected
    assert tokenizer.decode(expected) == text


def test_unknown_characters_are_named_once_in_order() -> None:
    with pytest.raises(UnknownCharacters) as caught:
        CharTokenizer.from_text("abc").encode("az€a€z")
    assert caught.value.characters == ("z", "€")
    assert "'€'" in str(caught.value)


@pytest.mark.parametrize("vocabulary", [["a", "a"], ["ab"], [""], ["\ud800"]])
def test_a_vocabulary_that_is_not_one_refused(vocabulary: list[str]) -> None:
    with pytest.raises(ValueError):
        CharTokenizer(vocabulary)


# Every kind


@given(text=anything)
def test_every_text_comes_back_from_bytes_and_pairs(text: str) -> None:
    assert BYTES.encode(text) == list(text.encode())
    for tokenizer in (BYTES, BPE):
        encoded = tokenizer.encode(text)
        assert tokenizer.decode(encoded) == text
        assert b"".join(map(tokenizer.token_bytes, encoded)) == text.encode()
        array = tokenizer.encode_array(text)
        assert (array.dtype, array.tolist()) == (np.int64, encoded)


@given(ids=ids)
def test_text_that_comes_bit_by_bit_is_the_whole_text(ids: list[int]) -> None:
    decoder, parts = TextDecoder(BPE), []
    for i, id in enumerate(ids):
        parts.append(decoder.feed(id))
        whole = b"".join(map(BPE.token_bytes, ids[: i + 1])).decode("utf-8", "ignore")
        assert "".join(parts).replace("\ufffd", "") == whole.replace("\ufffd", "")
    assert "".join(parts) + decoder.flush() == BPE.decode(ids)


def test_a_character_waits_for_its_last_byte() -> None:
    decoder = TextDecoder(BYTES)
    assert [decoder.feed(byte) for byte in "a€".encode()] == ["a", "", "", "€"]
    assert decoder.feed(0xE2) == ""
    assert decoder.flush() == "\ufffd"
    assert decoder.flush() == ""


@pytest.mark.parametrize("character", ["é", "€", "🙂"])
def test_a_text_goes_on_amid_a_character(character: str) -> None:
    encoded = BYTES.encode("ab" + character)
    for place in range(3, len(encoded)):
        decoder = TextDecoder(BYTES, after=encoded[:place])
        assert decoder.feed(*encoded[place:]) == character


@given(text=anything, count=st.integers(0, 30))
def test_the_end_of_a_text_says_how_much_lies_before(text: str, count: int) -> None:
    for tokenizer in (BYTES, BPE, CharTokenizer.from_text(text)):
        encoded = tokenizer.encode(text)
        end, left_out = tokenizer.encode_end(text, count)
        assert end == encoded[max(0, len(encoded) - count) :]
        before = tokenizer.decode(encoded[: len(encoded) - len(end)]).rstrip("\ufffd")
        if "\ufffd" not in text:
            assert text[:left_out] == before


def test_a_cut_character_is_shown_as_bytes() -> None:
    assert [BYTES.token_text(id) for id in BYTES.encode("a€")] == [
        "a",
        r"bytes:\xe2",
        r"bytes:\x82",
        r"bytes:\xac",
    ]
    shown = [BPE.token_text(id) for id in range(BPE.vocab_size)]
    assert len(set(shown)) == BPE.vocab_size
    assert {" words", "🙂", "\n", " "} <= set(shown)
    mixed = next(i for i, t in enumerate(shown) if t.startswith("bytes: ") and len(t) > 7)
    assert BPE.token_bytes(mixed)[:1] == b" "


@pytest.mark.parametrize("tokenizer", [BYTES, BPE, CharTokenizer("ab")], ids=lambda t: t.kind)
def test_half_a_surrogate_pair_is_no_character(tokenizer: Tokenizer) -> None:
    with pytest.raises(UnknownCharacters) as caught:
        tokenizer.encode("a\ud83d")
    assert caught.value.characters == ("\ud83d",)
    with pytest.raises(IndexError):
        tokenizer.decode([tokenizer.vocab_size])


@pytest.mark.parametrize("kind", ["character", "byte", "bpe"])
def test_what_is_written_is_read_back(kind) -> None:
    tokenizer = train_tokenizer(kind, TEXT, 300)
    assert (tokenizer.kind, bool(tokenizer.unit)) == (kind, True)
    again = tokenizer_from(json.loads(json.dumps(tokenizer.document())))
    assert type(again) is type(tokenizer)
    assert again.document() == tokenizer.document()
    assert again.encode(TEXT) == tokenizer.encode(TEXT)
    assert again.vocab_size == {"character": len(set(TEXT)), "byte": 256, "bpe": 300}[kind]


# Byte pairs


@given(text=anything)
def test_byte_pairs_are_the_librarys(text: str) -> None:
    library = tokenizers.Tokenizer.from_str(json.dumps(BPE.document()["tokenizer"]))
    encoding = library.encode(text)
    assert BPE.encode(text) == encoding.ids
    assert BPE.decode(encoding.ids) == library.decode(encoding.ids) == text


@given(ids=ids)
def test_any_ids_are_decoded_as_the_library_does(ids: list[int]) -> None:
    library = tokenizers.Tokenizer.from_str(json.dumps(BPE.document()["tokenizer"]))
    assert BPE.decode(ids) == library.decode(ids)


def test_bytes_are_written_as_the_library_writes_them() -> None:
    assert sorted(BYTE_OF) == sorted(ByteLevel.alphabet())
    for character in "a é€🙂\x00\n\x7f\xad":
        ((word, _),) = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(
            character
        )
        assert bytes(BYTE_OF[letter] for letter in word) == character.encode()


@given(text=st.text(" \n\tab4.'é", max_size=300))
def test_parts_have_the_words_of_the_whole(text: str) -> None:
    with pytest.MonkeyPatch.context() as small:
        small.setattr(bpe_tokenizer, "PART_CHARACTERS", 5)
        parts = list(bpe_tokenizer._parts(text))
        in_parts = BPE.encode(text)
    assert "".join(parts) == text
    assert in_parts == BPE._tokenizer.encode(text).ids


def test_the_same_text_gives_the_same_tokens_in_another_process() -> None:
    code = (
        "import hashlib, json, sys; from model.tokenizer import BPETokenizer; "
        "document = BPETokenizer.train(sys.stdin.read(), 400).document(); "
        "sys.stdout.write(json.dumps(document))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], input=TEXT.encode(), capture_output=True, cwd=ROOT, check=True
    )
    assert json.loads(other.stdout) == BPE.document()


def test_frequent_words_become_tokens_and_rare_texts_have_fewer() -> None:
    assert len(BPE.encode(" words")) == 1
    few = BPETokenizer.train("abc abc", 5000)
    assert 256 < few.vocab_size < 262
    assert BPETokenizer.train("", 300).vocab_size == 256
    with pytest.raises(ValueError, match="at least 256 tokens"):
        train_tokenizer("bpe", TEXT, 255)


def test_a_text_without_a_space_is_learned_in_seconds() -> None:
    """Joining pairs inside one word of this length would take hours."""
    digits = "".join(map(str, random.Random(0).choices(range(10), k=100_000)))
    tokenizer = BPETokenizer.train(digits, 300)
    assert tokenizer.decode(tokenizer.encode(digits)) == digits


def changed(**fields: object) -> dict:
    """The document of BPE with other values, `__` between the names on the way."""
    document = BPE.document()
    for path, value in fields.items():
        *way, last = path.split("__")
        place = document
        for name in way:
            place = place[name]
        place[last] = value
    return document


VOCABULARY = BPE.document()["tokenizer"]["model"]["vocab"]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "kind must be"),
        ({}, "kind must be"),
        ({"kind": "words"}, "kind must be .* 'words'"),
        ({"kind": "character"}, "vocabulary must be a list"),
        ({"kind": "character", "vocabulary": "abc"}, "vocabulary must be a list"),
        ({"kind": "character", "vocabulary": [1]}, "vocabulary must be a list"),
        ({"kind": "bpe"}, "no JSON object"),
        (changed(tokenizer=[]), "no JSON object"),
        (changed(tokenizer__model=None), "model: "),
        (changed(tokenizer__normalizer={"type": "Lowercase"}), 'normalizer is .*"Lowercase"'),
        (changed(tokenizer__pre_tokenizer=None), "pre_tokenizer is null"),
        (changed(tokenizer__added_tokens=[{"id": 0}]), "added_tokens.0.content: "),
        (changed(tokenizer__model__type="Unigram"), 'model.type is "Unigram"'),
        (changed(tokenizer__model__vocab=[]), "model.vocab: "),
        (changed(tokenizer__model__merges=["a"]), "model.merges.0"),
        (changed(tokenizer__model__merges=[["q", "zz"]]), "does not have all of 'q' [+] 'zz'"),
        (changed(tokenizer__model__vocab={"a": 0}), "lacks 255 of the 256 bytes"),
        (changed(tokenizer__model__vocab=VOCABULARY | {"zz": 9000}), "ids must be 0 to "),
        (
            changed(tokenizer__model__vocab=VOCABULARY | {"z z": len(VOCABULARY)}),
            "'z z' is not written",
        ),
        (changed(tokenizer__model__vocab=VOCABULARY | {"": len(VOCABULARY)}), "'' is not written"),
    ],
)
def test_a_foreign_document_is_refused(document: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tokenizer_from(document)
