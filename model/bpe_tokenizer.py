"""Byte pair encoding: frequent neighbours are joined, beginning with single bytes.

The `tokenizers` library learns the pairs and applies them. A text is first cut into words, and no
pair reaches over the end of one.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from model.bpe_document import BytePairs, Words, pre_tokenizer, read_document
from model.byte_tokenizer import BYTES
from model.tokenizer_base import Tokenizer, utf8

MIN_FREQUENCY = 2  # a pair that occurs once teaches nothing
END_OF_TEXT = "<|endoftext|>"  # GPT-2's name for what stands between two texts

# No word reaches from something visible to a space or a new line, so a text may be cut there.
BETWEEN_WORDS = re.compile(r"(?<=\S)(?=[ \n])")
PART_CHARACTERS = 50_000
LONGEST_PART = 1_000_000  # where there is no such place for long, it is cut anywhere
CHARACTERS_AT_ONCE = 800_000


class BPETokenizer(Tokenizer):
    """A vocabulary of bytes and joined bytes, and the pairs in the order they are joined.

    Tokens that were added to those, as GPT-2's `<|endoftext|>`, are found in a text as written.
    """

    kind = "bpe"
    unit = "tokens"

    def __init__(self, pairs: BytePairs) -> None:
        super().__init__(pairs.tokens())
        self._tokenizer = _pipeline(BPE(pairs.vocabulary, pairs.merges), pairs.words)
        self._tokenizer.add_tokens(
            [
                tokenizers.AddedToken(t.content, normalized=t.normalized, special=t.special)
                for t in pairs.added
            ]
        )

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
        learner = _pipeline(BPE(), "bounded")
        learner.train_from_iterator(_parts(text), trainer)
        return cls.from_huggingface(json.loads(learner.to_str()))

    @classmethod
    def from_huggingface(cls, document: object) -> "BPETokenizer":
        """From the content of a `tokenizer.json` that cuts a text as GPT-2 does, or as Sidelight.

        Any text then has the ids that it has in transformers, but one with a word of over
        1,000,000 characters. Raises ValueError that names what cannot be taken.
        """
        pairs = read_document(document)
        for token in pairs.added:
            if BETWEEN_WORDS.search(token.content):
                raise ValueError(f"added_tokens: {token.content!r} is more than a word")
        return cls(pairs)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "BPETokenizer":
        """Raises ValueError."""
        return cls.from_huggingface(document.get("tokenizer"))

    def document(self) -> dict[str, Any]:
        return {"kind": self.kind, "tokenizer": json.loads(self._tokenizer.to_str())}

    @property
    def end_id(self) -> int | None:
        return self._tokenizer.token_to_id(END_OF_TEXT)

    def encode_array(self, text: str) -> NDArray[np.int64]:
        utf8(text)
        arrays = [np.empty(0, dtype=np.int64)]
        for some in _batches(text):
            encodings = self._tokenizer.encode_batch_fast(some, add_special_tokens=False)
            arrays += [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
        return np.concatenate(arrays)


def _pipeline(model: BPE, words: Words) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer(words)
    tokenizer.decoder = ByteLevelDecoder()
    return tokenizer


def _batches(text: str) -> Iterator[list[str]]:
    """The parts of `text`, some at once: a part without a space may take 400 times its size."""
    batch: list[str] = []
    for part in _parts(text):
        if batch and sum(map(len, batch)) + len(part) > CHARACTERS_AT_ONCE:
            yield batch
            batch = []
        batch.append(part)
    yield batch


def _parts(text: str) -> Iterator[str]:
    """`text` in parts that have the same words as the whole."""
    start = 0
    while len(text) - start > PART_CHARACTERS:
        place = BETWEEN_WORDS.search(text, start + PART_CHARACTERS, start + LONGEST_PART)
        end = place.start() if place else start + LONGEST_PART
        yield text[start:end]
        start = end
    yield text[start:]
