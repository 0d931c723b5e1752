"""Text to ids and back, one id per character."""

from collections.abc import Iterable


class UnknownCharacters(ValueError):
    """A text has characters that are not in the vocabulary; `characters` names each once."""

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = tuple(characters)
        shown = ", ".join(repr(c) for c in self.characters[:20])
        more = f" and {len(self.characters) - 20} more" if len(self.characters) > 20 else ""
        super().__init__(f"characters outside the vocabulary: {shown}{more}")


class CharTokenizer:
    """Each character of `vocabulary` is its position in it."""

    kind = "character"

    def __init__(self, vocabulary: Iterable[str]) -> None:
        self.vocabulary = tuple(vocabulary)
        self._id_of = {character: i for i, character in enumerate(self.vocabulary)}
        if len(self._id_of) != len(self.vocabulary):
            raise ValueError("the vocabulary names a character twice")
        if any(len(character) != 1 for character in self.vocabulary):
            raise ValueError("each entry of the vocabulary must be exactly one character")

    @classmethod
    def from_text(cls, text: str) -> "CharTokenizer":
        """The distinct characters of `text`, in code point order."""
        return cls(sorted(set(text)))

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> list[int]:
        """One id per character. Raises UnknownCharacters, naming them in order of appearance."""
        try:
            return [self._id_of[character] for character in text]
        except KeyError:
            unknown = dict.fromkeys(c for c in text if c not in self._id_of)
            raise UnknownCharacters(unknown) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`. Raises IndexError for an id outside the vocabulary."""
        return "".join(self.vocabulary[i] for i in ids)
