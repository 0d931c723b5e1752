"""A vocabulary is read from whatever names it, and from nothing that does not."""

import json
import os
import pickle
from pathlib import Path

import pytest

from model.interop.errors import UnreadableModel
from model.interop.vocabulary import vocabulary_file
from model.tokenizer import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer
from tests.foreign_models import LETTERS, Planted, meta

ITOS = {str(i): letter for i, letter in enumerate(LETTERS)}
STOI = {letter: i for i, letter in enumerate(LETTERS)}


def written(tmp_path: Path, name: str, content: bytes | str) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(UnreadableModel) as error:
        vocabulary_file(path)
    assert error.value.param == "vocabulary"
    assert str(error.value).startswith(f"{path.name}: ")
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("meta.pkl", pickle.dumps(meta(LETTERS))),
        ("meta.pkl", pickle.dumps(meta(LETTERS), 0)),
        ("meta", pickle.dumps({"stoi": STOI})),
        ("meta.pkl", pickle.dumps({"itos": list(LETTERS), "dataset": "letters"})),
        ("a.json", json.dumps(list(LETTERS))),
        ("a.json", json.dumps(ITOS)),
        ("a.json", json.dumps(STOI)),
        ("a.json", json.dumps({"itos": ITOS, "stoi": STOI, "vocab_size": 11})),
        ("tokenizer.json", json.dumps(CharTokenizer(LETTERS).document())),
        ("a.txt", LETTERS[::-1] * 3),
        ("a.text", "\ufeff" + LETTERS),
        ("letters", LETTERS),
    ],
)
def test_characters(tmp_path: Path, name: str, content: bytes | str) -> None:
    tokenizer = vocabulary_file(written(tmp_path, name, content))
    assert isinstance(tokenizer, CharTokenizer)
    assert "".join(tokenizer.vocabulary) == LETTERS


def test_a_texts_line_ends_and_astral_characters_are_kept(tmp_path: Path) -> None:
    tokenizer = vocabulary_file(written(tmp_path, "a.txt", "b\r\na😀\r"))
    assert isinstance(tokenizer, CharTokenizer)
    assert tokenizer.vocabulary == ("\n", "\r", "a", "b", "😀")


@pytest.mark.parametrize(
    "tokenizer", [ByteTokenizer(), BPETokenizer.train("to be or not to be " * 5, 270)]
)
def test_ours_of_another_kind(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = written(tmp_path, "tokenizer.json", json.dumps(tokenizer.document()))
    assert vocabulary_file(path).document() == tokenizer.document()


def test_code_in_a_pickle_is_named_and_not_called(tmp_path: Path) -> None:
    mark = tmp_path / "called"
    content = pickle.dumps(meta(LETTERS) | {"more": Planted(os.mkdir, str(mark))})
    assert "mkdir" in refused(written(tmp_path, "meta.pkl", content))
    assert not mark.exists()
    pickle.loads(content)
    assert mark.exists(), "the payload works"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("meta.pkl", pickle.dumps([1, 2]), "itos"),
        ("meta.pkl", pickle.dumps({"vocab_size": 3}), "itos"),
        ("meta.pkl", pickle.dumps(meta(LETTERS))[:-30], "damaged or cut off"),
        ("meta.pkl", b"", "damaged"),
        ("meta.pkl", b"hello", "damaged"),
        ("meta.pkl", pickle.dumps({"itos": {0: "a", 1: "a"}}), "twice"),
        ("meta.pkl", pickle.dumps({"itos": {0: "a", 2: "b"}}), "numbered"),
        ("meta.pkl", pickle.dumps({"itos": {-1: "a", 0: "b"}}), "numbered"),
        ("meta.pkl", pickle.dumps({"itos": {0: "a", 1: "bc"}}), "exactly one character"),
        ("meta.pkl", pickle.dumps({"itos": {0: "\ud800"}}), "exactly one character"),
        ("meta.pkl", pickle.dumps({"itos": {0: 5}}), "no text"),
        ("meta.pkl", pickle.dumps({"itos": {}}), "no list"),
        ("meta.pkl", pickle.dumps({"stoi": {"a": 0, "b": "c"}}), "its number"),
        ("meta.pkl", pickle.dumps({"stoi": ["a"]}), "its number"),
        ("meta.pkl", pickle.dumps({"itos": {0: "a"}, "stoi": {"b": 0}}), "not say the same"),
        ("a.json", "", "no JSON"),
        ("a.json", "{", "no JSON"),
        ("a.json", b"\xff", "no UTF-8"),
        ("a.json", "[" * 100_000, "nested"),
        ("a.json", "5", "neither"),
        ("a.json", "[]", "no list"),
        ("a.json", '["a", "a"]', "twice"),
        ("a.json", '["a", 1]', "no text"),
        ("a.json", '{"kind": "words"}', "kind"),
        ("a.json", '{"kind": "character", "vocabulary": [1]}', "vocabulary"),
        ("a.json", '{"kind": "bpe", "tokenizer": {}}', ""),
        ("a.json", '{"model": {"type": "WordPiece"}}', ""),
        ("a.json", '{"0": "a", "00": "b"}', "numbered"),
        ("a.json", "9" * 5000, "no JSON"),
        ("a.txt", "", "empty"),
        ("a.txt", "\ufeff", "empty"),
        ("a.txt", b"caf\xe9", "UTF-8"),
    ],
    ids=str,
)
def test_what_is_no_vocabulary(tmp_path: Path, name: str, content: bytes | str, words: str) -> None:
    assert words in refused(written(tmp_path, name, content))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "missing.txt")
    assert "directory" in refused(tmp_path)


def test_more_than_a_vocabulary_needs(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(3 * 10**9)
    assert "over 33,554,432 bytes" in refused(path)
    assert "pickle" in refused(path.rename(tmp_path / "meta.pkl"))
