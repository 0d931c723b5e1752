"""Text to ids and back: by characters, by bytes, or by byte pairs learned from a text."""

from model.bpe_tokenizer import BPETokenizer
from model.byte_tokenizer import ByteTokenizer
from model.char_tokenizer import CharTokenizer
from model.config import TokenizerKind
from model.tokenizer_base import TextDecoder, Tokenizer, UnknownCharacters

__all__ = [
    "BPETokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "TextDecoder",
    "Tokenizer",
    "UnknownCharacters",
    "tokenizer_from",
    "train_tokenizer",
]


def train_tokenizer(kind: TokenizerKind, text: str, vocab_size: int) -> Tokenizer:
    """One for `text`; `vocab_size` is what byte pairs may grow to, the others need no number.

    Raises ValueError for a size that byte pairs cannot have.
    """
    match kind:
        case "character":
            return CharTokenizer.from_text(text)
        case "byte":
            return ByteTokenizer()
        case "bpe":
            return BPETokenizer.train(text, vocab_size)


def tokenizer_from(document: object) -> Tokenizer:
    """Read what `document()` wrote. Raises ValueError that says what is wrong."""
    content = document if isinstance(document, dict) else {}
    match content.get("kind"):
        case "character":
            return CharTokenizer.from_document(content)
        case "byte":
            return ByteTokenizer()
        case "bpe":
            return BPETokenizer.from_document(content)
        case kind:
            raise ValueError(f"kind must be character, byte or bpe, not {kind!r}")
