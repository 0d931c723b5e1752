"""Text to ids and back."""

import pytest

from model.tokenizer import CharTokenizer, UnknownCharacters


def test_round_trip() -> None:
    tokenizer = CharTokenizer.from_text("hello\nworld é")
    assert tokenizer.decode(tokenizer.encode("hello é\n")) == "hello é\n"


def test_vocabulary_is_in_code_point_order() -> None:
    assert CharTokenizer.from_text("cab\n").vocabulary == ("\n", "a", "b", "c")


def test_unknown_characters_are_named_once_in_order() -> None:
    with pytest.raises(UnknownCharacters) as caught:
        CharTokenizer.from_text("abc").encode("az€a€z")
    assert caught.value.characters == ("z", "€")
    assert "'€'" in str(caught.value)


@pytest.mark.parametrize("vocabulary", [["a", "a"], ["ab"], [""]])
def test_a_vocabulary_that_is_not_one_refused(vocabulary: list[str]) -> None:
    with pytest.raises(ValueError):
        CharTokenizer(vocabulary)
