"""What a `tokenizer.json` says of byte pairs: read without trust, refused where it says more.

The document is the `tokenizers` library's own. Two ways to cut a text into words are known: GPT-2's
and, with an end to how long a word may be, Sidelight's.
"""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tokenizers
from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from tokenizers.pre_tokenizers import ByteLevel, PreTokenizer, Split
from tokenizers.pre_tokenizers import Sequence as Steps

from model.byte_tokenizer import BYTES

Words = Literal["bounded", "gpt2"]

# GPT-2's words, but none longer than 64: learning pairs takes the square of a word's length, and
# a text of digits alone would be a single word.
BOUNDED_WORDS = (
    r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}{1,64}| ?\p{N}{1,64}| ?[^\s\p{L}\p{N}]{1,64}"
    r"|\s{1,64}(?!\S)|\s{1,64}"
)
MAX_TOKENS = 1_000_000

# What decides how a text is cut, and the only values that leave it as GPT-2 does.
ALLOWED: dict[str, tuple[object, ...]] = {
    "model.type": ("BPE", None),  # older files do not name it
    "model.dropout": (None, 0),
    "model.unk_token": (None,),
    "model.continuing_subword_prefix": (None, ""),
    "model.end_of_word_suffix": (None, ""),
    "model.byte_fallback": (None, False),
    "model.ignore_merges": (None, False),
    "normalizer": (None,),
    "decoder.type": ("ByteLevel",),
}


def _as_pair(merge: object) -> object:
    """Older files write a pair as `a b`; no token has a space in it."""
    return tuple(merge.split(" ")) if isinstance(merge, str) else merge


class AddedToken(BaseModel):
    """A token that is found in a text as it is written, before anything is cut."""

    id: int
    content: str = Field(min_length=1)
    single_word: Literal[False] = False
    lstrip: Literal[False] = False
    rstrip: Literal[False] = False
    normalized: bool
    special: bool


class _Learned(BaseModel):
    vocab: dict[str, int]
    merges: list[Annotated[tuple[str, str], BeforeValidator(_as_pair)]]


class _Document(BaseModel):
    model: _Learned
    added_tokens: list[AddedToken] = []


@dataclass(frozen=True)
class BytePairs:
    """All there is to a tokenizer of byte pairs.

    `vocabulary` gives ids to tokens that are written as byte-level BPE does, each byte a letter;
    `merges` are in the order they are joined.
    """

    vocabulary: dict[str, int]
    merges: list[tuple[str, str]]
    words: Words = "bounded"
    added: tuple[AddedToken, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where they do not fit together."""
        _check_ids(self.vocabulary, self.added)
        written = self.vocabulary.keys() - {token.content for token in self.added}
        strange = next((t for t in written if not t or any(c not in BYTE_OF for c in t)), None)
        if strange is not None:
            raise ValueError(f"the vocabulary's token {strange!r} is not written in bytes")
        if missing := [letter for letter in BYTE_OF if letter not in self.vocabulary]:
            raise ValueError(f"the vocabulary lacks {len(missing)} of the {BYTES} bytes")
        for left, right in self.merges:
            if not {left, right, left + right} <= self.vocabulary.keys():
                raise ValueError(f"the vocabulary does not have all of {left!r} + {right!r}")

    def tokens(self) -> list[bytes]:
        """The bytes of every token, by id."""
        tokens = {token.id: token.content.encode() for token in self.added}
        for token, id in self.vocabulary.items():
            if id not in tokens:
                tokens[id] = bytes(BYTE_OF[letter] for letter in token)
        return [tokens[id] for id in range(len(tokens))]


def read_document(content: object) -> BytePairs:
    """What Sidelight takes from a `tokenizer.json`.

    Raises ValueError that names what it cannot take: what cuts a text in another way than GPT-2.
    """
    if not isinstance(content, dict):
        raise ValueError("the tokenizer is no JSON object, as a tokenizer.json is")  # noqa: TRY004
    for path, allowed in ALLOWED.items():
        if (found := _at(content, path)) not in allowed:
            raise ValueError(f"{path} is {_shown(found)}: only {_shown(allowed[0])} can be read")
    if not _adds_nothing(processor := content.get("post_processor")):
        raise ValueError(
            f"post_processor is {_shown(processor)}: only one that adds no tokens is read"
        )
    try:
        document = _Document.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {first['msg']}") from None
    learned = document.model
    words, added = _words(content.get("pre_tokenizer")), tuple(document.added_tokens)
    return BytePairs(learned.vocab, learned.merges, words, added)


def pre_tokenizer(words: Words) -> PreTokenizer:
    """The library's, which cuts a text into words and writes each byte as a letter."""
    if words == "gpt2":
        return ByteLevel(add_prefix_space=False, use_regex=True)
    bounded = Split(tokenizers.Regex(BOUNDED_WORDS), behavior="isolated")
    return Steps([bounded, ByteLevel(add_prefix_space=False, use_regex=False)])


def _adds_nothing(processor: object) -> bool:
    """Whether a text's tokens stay what they are; ByteLevel moves offsets alone."""
    match processor:
        case None | {"type": "ByteLevel"}:
            return True
        case {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}]}:
            return True
    return False


def _words(found: object) -> Words:
    """The ways to cut that are known, besides where words lie in the text."""
    step = _step(found)
    if step == {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}:
        return "gpt2"
    steps = step.get("pretokenizers")
    if step.get("type") == "Sequence" and isinstance(steps, list):
        split = {"type": "Split", "pattern": {"Regex": BOUNDED_WORDS}, "behavior": "Isolated"}
        to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
        if [_step(each) for each in steps] == [split | {"invert": False}, to_bytes]:
            return "bounded"
    raise ValueError(
        f"pre_tokenizer is {_shown(found)}: only GPT-2's can be read, which is ByteLevel with "
        "use_regex and without add_prefix_space"
    )


def _step(found: object) -> dict[str, Any]:
    """A pre-tokenizer with what it says by saying nothing, and without what moves only offsets."""
    if not isinstance(found, dict):
        return {}
    step = {name: value for name, value in found.items() if name != "trim_offsets"}
    return {"use_regex": True, **step} if step.get("type") == "ByteLevel" else step


def _check_ids(vocabulary: dict[str, int], added: tuple[AddedToken, ...]) -> None:
    """Ids count from 0; added tokens that the vocabulary does not have come behind it, in order."""
    if len(vocabulary) + len(added) > MAX_TOKENS:
        raise ValueError(f"the vocabulary has over {MAX_TOKENS:,} tokens")
    if set(vocabulary.values()) != set(range(len(vocabulary))):
        raise ValueError(f"the vocabulary's ids must be 0 to {len(vocabulary) - 1}, each once")
    ids = dict(vocabulary)
    for token in added:
        name = f"added_tokens: {token.content!r}"
        if token.id != (expected := ids.setdefault(token.content, len(ids))):
            raise ValueError(f"{name} must have id {expected}, not {token.id}")
        if not token.content.isascii() and all(c in BYTE_OF for c in token.content):
            raise ValueError(f"{name} reads as bytes that are not its own")
    if len({token.content for token in added}) < len(added):
        raise ValueError("added_tokens has the same token twice")


def _at(content: dict[str, Any], path: str) -> object:
    """What stands at `a.b`; None where nothing does."""
    value: object = content
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else text[:100] + " …"


def _byte_of() -> dict[str, int]:
    """Byte-level BPE writes a byte as its Latin-1 character, or if none is seen from U+0100 on."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    unseen = [byte for byte in range(BYTES) if byte not in seen]
    return {chr(b): b for b in seen} | {chr(0x100 + i): b for i, b in enumerate(unseen)}


BYTE_OF = _byte_of()
