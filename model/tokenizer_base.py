"""What every tokenizer is: tokens, each some bytes of UTF-8, that a text is cut into."""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from model.config import TokenizerKind

LONGEST_CHARACTER = 4  # bytes of UTF-8


class UnknownCharacters(ValueError):
    """A text has characters that are not in the vocabulary; `characters` names each once."""

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = tuple(characters)
        shown = ", ".join(repr(c) for c in self.characters[:20])
        more = f" and {len(self.characters) - 20} more" if len(self.characters) > 20 else ""
        super().__init__(f"characters outside the vocabulary: {shown}{more}")


class Tokenizer(ABC):
    """Text to ids and back; an id is a token's place in the vocabulary."""

    kind: ClassVar[TokenizerKind]
    unit: ClassVar[str]  # what a count of its tokens counts

    def __init__(self, tokens: Iterable[bytes]) -> None:
        self._tokens = tuple(tokens)

    @property
    def vocab_size(self) -> int:
        return len(self._tokens)

    @property
    def end_id(self) -> int | None:
        """The token that stands between two texts, if there is one: a text ends where it comes."""
        return None

    @abstractmethod
    def encode_array(self, text: str) -> NDArray[np.int64]:
        """The ids (N,) of `text`, quick for a long one. Raises UnknownCharacters."""

    @abstractmethod
    def document(self) -> dict[str, Any]:
        """All there is to it, as JSON; `model.tokenizer.tokenizer_from` reads it back."""

    def encode(self, text: str) -> list[int]:
        """The ids of `text`. Raises UnknownCharacters, naming them in order of appearance."""
        ids: list[int] = self.encode_array(text).tolist()
        return ids

    def encode_end(self, text: str, count: int) -> tuple[list[int], int]:
        """The last `count` ids of `text`, and how many characters lie wholly before them."""
        ids = self.encode(text)
        start = max(0, len(ids) - count)
        return ids[start:], len(TextDecoder(self).feed(*ids[:start]))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; what is no UTF-8 becomes U+FFFD. Raises IndexError for an unknown id.

        Whatever was encoded comes back exactly.
        """
        return b"".join(self._tokens[i] for i in ids).decode("utf-8", "replace")

    def token_bytes(self, id: int) -> bytes:
        """A token's UTF-8. Raises IndexError."""
        return self._tokens[id]

    def token_text(self, id: int) -> str:
        r"""What a person sees of a token: its text, or where it cuts a character `bytes:\xe2`."""
        token = self._tokens[id]
        try:
            return token.decode("utf-8")
        except UnicodeDecodeError:
            shown = (chr(b) if 0x20 <= b < 0x7F else f"\\x{b:02x}" for b in token)
            return "bytes:" + "".join(shown)


class TextDecoder:
    """Ids go in one by one and text comes out, whole characters only.

    All that came out, joined, is what `decode` makes of all the ids.
    """

    def __init__(self, tokenizer: Tokenizer, after: Sequence[int] = ()) -> None:
        """`after` are ids that went before: what they leave of a character is completed."""
        self._token_bytes = tokenizer.token_bytes
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self.feed(*after[-LONGEST_CHARACTER:])  # a token has a byte or more

    def feed(self, *ids: int) -> str:
        """The characters that `ids` complete."""
        return self._utf8.decode(b"".join(map(self._token_bytes, ids)))

    def flush(self) -> str:
        """U+FFFD if the text ended amid a character, else nothing."""
        return self._utf8.decode(b"", final=True)


def utf8(text: str) -> bytes:
    """Raises UnknownCharacters for halves of a surrogate pair, which are no characters."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise UnknownCharacters(
            dict.fromkeys(c for c in text if "\ud800" <= c <= "\udfff")
        ) from None
