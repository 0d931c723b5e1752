"""Any of our tokenizers as the `tokenizer.json` of transformers, and back."""

import json
from pathlib import Path
from typing import Any

from model.bpe_document import BYTE_OF
from model.byte_tokenizer import ByteTokenizer
from model.char_tokenizer import CharTokenizer
from model.tokenizer import BPETokenizer, Tokenizer

# WordLevel has to name a token for what it does not know. No character is called that, so that
# transformers raises an error instead of writing something else.
UNKNOWN = "<unknown>"
CHARACTERS: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {
        "type": "Split",
        "pattern": {"Regex": r"[\s\S]"},
        "behavior": "Isolated",
        "invert": False,
    },
    "post_processor": None,
    "decoder": {"type": "Fuse"},  # without it, transformers puts spaces between tokens
}
BYTES: dict[str, Any] = CHARACTERS | {
    "pre_tokenizer": {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    },
    "decoder": {
        "type": "ByteLevel",
        "add_prefix_space": True,
        "trim_offsets": True,
        "use_regex": True,
    },
    "model": {"type": "BPE", "vocab": BYTE_OF, "merges": []},
}


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of a `tokenizer.json` that gives any text the ids that `tokenizer` gives it.

    Characters are words of their own; one that is not in the vocabulary is an error there too.
    """
    match tokenizer:
        case CharTokenizer():
            vocabulary = {c: id for id, c in enumerate(tokenizer.vocabulary)}
            words = {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN}
            return CHARACTERS | {"model": words}
        case ByteTokenizer():
            return BYTES
        case BPETokenizer():
            document: dict[str, Any] = tokenizer.document()["tokenizer"]
            return document
        case _:
            raise TypeError(f"a tokenizer of kind {tokenizer.kind} is not known here")


def write_tokenizer_json(tokenizer: Tokenizer, path: Path) -> None:
    """Raises OSError."""
    document = json.dumps(tokenizer_json(tokenizer), ensure_ascii=False)
    path.write_text(document + "\n", "utf-8")


def read_tokenizer_json(document: dict[str, Any]) -> Tokenizer:
    """What `tokenizer_json` made, or GPT-2's and those of its family.

    Raises ValueError that names what cuts a text in another way.
    """
    model = document.get("model")
    if isinstance(model, dict) and model.get("type") == "WordLevel":
        return _characters(document, model.get("vocab"))
    pairs, single = BPETokenizer.from_huggingface(document), ByteTokenizer()
    is_single = pairs.vocab_size == single.vocab_size and all(
        pairs.token_bytes(id) == single.token_bytes(id) for id in range(single.vocab_size)
    )
    return single if is_single else pairs


def _characters(document: dict[str, Any], vocabulary: object) -> CharTokenizer:
    """Raises ValueError."""
    for name in ("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if document.get(name) != CHARACTERS[name]:
            raise ValueError(f"{name} is not as in a tokenizer of single characters")
    numbered = vocabulary if isinstance(vocabulary, dict) else {}
    by_id = {id: character for character, id in numbered.items() if isinstance(id, int)}
    if not by_id or by_id.keys() != set(range(len(numbered))):
        raise ValueError("model.vocab must give each character its number, from 0 on")
    return CharTokenizer(by_id[id] for id in range(len(by_id)))
