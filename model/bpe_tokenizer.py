"""Byte pair encoding: frequent neighbours are joined, beginning with single bytes.

The `tokenizers` library learns the pairs and applies them. A text is first cut into words, and no
pair reaches over the end of one.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as Steps
from tokenizers.trainers import BpeTrainer

from model.byte_tokenizer import BYTES
from model.tokenizer_base import Tokenizer, utf8

# GPT-2's words, but none longer than 64: joining pairs takes the square of a word's length, and
# a text of digits alone would be a single word.
WORDS = (
    r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}{1,64}| ?\p{N}{1,64}| ?[^\s\p{L}\p{N}]{1,64}"
    r"|\s{1,64}(?!\S)|\s{1,64}"
)
MIN_FREQUENCY = 2  # a pair that occurs once teaches nothing
MAX_TOKENS = 1_000_000

# No word reaches from something visible to a space or a new line, so a text may be cut there.
BETWEEN_WORDS = re.compile(r"(?<=\S)(?=[ \n])")
PART_CHARACTERS = 50_000
LONGEST_PART = 1_000_000  # where there is no such place for long, it is cut anywhere
PARTS_AT_ONCE = 16

# What of the library's document decides how a text is cut, besides the vocabulary and the pairs.
FIXED: dict[str, Any] = {
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ],
    },
    "post_processor": None,
    "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "byte_fallback": False,
        "ignore_merges": False,
    },
}


class _Learned(BaseModel):
    """What the library's document says of a text's tokens."""

    vocab: dict[str, int]
    merges: list[tuple[str, str]]


class BPETokenizer(Tokenizer):
    """A vocabulary of bytes and joined bytes, and the pairs in the order they are joined."""

    kind = "bpe"
    unit = "tokens"

    def __init__(self, vocabulary: dict[str, int], merges: Sequence[tuple[str, str]]) -> None:
        """Tokens are written as byte-level BPE does, each byte a letter; ids count from 0.

        Raises ValueError where they do not fit together.
        """
        _check(vocabulary, merges)
        in_order = sorted(vocabulary, key=vocabulary.__getitem__)
        super().__init__(bytes(BYTE_OF[letter] for letter in token) for token in in_order)
        self._tokenizer = _pipeline(BPE(vocabulary, list(merges)))

    @classmethod
    def train(cls, text: str, vocab_size: int) -> "BPETokenizer":
        """At most `vocab_size` tokens, fewer where `text` has no more pairs that occur twice.

        The same text gives the same tokens. Raises ValueError for a size below 256.
        """
        if vocab_size < BYTES:
            message = f"at least {BYTES} tokens are needed, one for each byte, not {vocab_size}"
            raise ValueError(message)
        trainer = BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=MIN_FREQUENCY,
            initial_alphabet=ByteLevel.alphabet(),
            show_progress=False,
        )
        learner = _pipeline(BPE())
        learner.train_from_iterator(_parts(text), trainer)
        return cls.from_document({"tokenizer": json.loads(learner.to_str())})

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "BPETokenizer":
        """Only the vocabulary and the pairs are taken; raises ValueError if more is asked for."""
        content = document.get("tokenizer")
        _require(FIXED, content, "tokenizer")
        assert isinstance(content, dict)
        try:
            learned = _Learned.model_validate(content["model"])
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"tokenizer.model.{where}: {first['msg']}") from None
        return cls(learned.vocab, learned.merges)

    def document(self) -> dict[str, Any]:
        return {"kind": self.kind, "tokenizer": json.loads(self._tokenizer.to_str())}

    def encode_array(self, text: str) -> NDArray[np.int64]:
        utf8(text)
        parts = _parts(text)
        arrays = [np.empty(0, dtype=np.int64)]
        while some := list(islice(parts, PARTS_AT_ONCE)):
            encodings = self._tokenizer.encode_batch_fast(some, add_special_tokens=False)
            arrays += [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
        return np.concatenate(arrays)


def _pipeline(model: BPE) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(model)
    to_bytes = ByteLevel(add_prefix_space=False, use_regex=False)
    words = Split(tokenizers.Regex(WORDS), behavior="isolated")
    tokenizer.pre_tokenizer = Steps([words, to_bytes])
    tokenizer.decoder = ByteLevelDecoder()
    return tokenizer


def _parts(text: str) -> Iterator[str]:
    """`text` in parts that have the same words as the whole."""
    start = 0
    while len(text) - start > PART_CHARACTERS:
        place = BETWEEN_WORDS.search(text, start + PART_CHARACTERS, start + LONGEST_PART)
        end = place.start() if place else start + LONGEST_PART
        yield text[start:end]
        start = end
    yield text[start:]


def _check(vocabulary: dict[str, int], merges: Sequence[tuple[str, str]]) -> None:
    if len(vocabulary) > MAX_TOKENS:
        raise ValueError(f"the vocabulary has {len(vocabulary):,} tokens, over {MAX_TOKENS:,}")
    if set(vocabulary.values()) != set(range(len(vocabulary))):
        raise ValueError(f"the vocabulary's ids must be 0 to {len(vocabulary) - 1}, each once")
    strange = next((t for t in vocabulary if not t or any(c not in BYTE_OF for c in t)), None)
    if strange is not None:
        raise ValueError(f"the vocabulary's token {strange!r} is not written in bytes")
    if missing := [letter for letter in BYTE_OF if letter not in vocabulary]:
        raise ValueError(f"the vocabulary lacks {len(missing)} of the {BYTES} bytes")
    for left, right in merges:
        if not {left, right, left + right} <= vocabulary.keys():
            raise ValueError(f"the vocabulary does not have all of {left!r} + {right!r}")


def _require(expected: object, found: object, where: str) -> None:
    """Raises ValueError where `found` says something else than `expected`; it may say more."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            _require(value, found.get(name), f"{where}.{name}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (value, other) in enumerate(zip(expected, found, strict=True)):
            _require(value, other, f"{where}.{i}")
    elif found != expected:
        raise ValueError(f"{where} is not as Sidelight cuts a text")


def _byte_of() -> dict[str, int]:
    """Byte-level BPE writes a byte as its Latin-1 character, or if none is seen from U+0100 on."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    unseen = [byte for byte in range(BYTES) if byte not in seen]
    return {chr(b): b for b in seen} | {chr(0x100 + i): b for i, b in enumerate(unseen)}


BYTE_OF = _byte_of()
