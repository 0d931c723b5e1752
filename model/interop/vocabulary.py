"""Where a model's tokens are told: files of several kinds, tables in a checkpoint, a text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model.corpus import BYTE_ORDER_MARK, CorpusError, tiny_shakespeare
from model.interop.errors import UnreadableModel
from model.interop.files import VOCABULARIES, Files
from model.interop.foreign_text import shown
from model.interop.huggingface_tokenizer import read_tokenizer_json
from model.interop.json_file import read_json
from model.interop.plain_pickle import MOST_BYTES, read_plain_pickle
from model.run_limits import MOST_VOCABULARY_BYTES
from model.tokenizer import CharTokenizer, Tokenizer, tokenizer_from

CHARACTERS_AT_ONCE = 1 << 20
PADDED_TO = (64, 128)  # what sizes are rounded up to, as GPUs like them
GPT2_SIZES = {50257, 50304}
HOW_TO_GIVE = (
    "name a vocabulary: a meta.pkl, a tokenizer.json, or the text that it was trained on "
    "(--vocabulary, or the field on the page)"
)


def vocabulary_file(path: Path) -> Tokenizer:
    """Read a vocabulary that somebody names.

    It is a `meta.pkl` of nanoGPT's, a `tokenizer.json`, some other JSON with the characters, or a
    text whose different characters, sorted, it is. Raises UnreadableModel.
    """
    try:
        return _file(path)
    except UnreadableModel:
        raise
    except OSError as error:
        raise UnreadableModel(f"{path.name}: {error.strerror}", "vocabulary") from None
    except ValueError as error:
        raise UnreadableModel(f"{path.name}: {shown(error)}", "vocabulary") from None


def vocabulary_among(files: Files) -> Tokenizer | None:
    """The one that came along with a model, if one did. Raises UnreadableModel, OSError."""
    for name in VOCABULARIES:
        if name in files.paths:
            try:
                return _of_kind(name, files.paths[name])
            except ValueError as error:
                raise UnreadableModel(f"{name}: {shown(error)}", "vocabulary") from None
    return None


def vocabulary_inside(checkpoint: Mapping[str, Any], file: str) -> Tokenizer | None:
    """The one of a checkpoint's `itos`, `stoi` or `chars`. Raises UnreadableModel."""
    try:
        return _of_tables(checkpoint)
    except ValueError as error:
        raise UnreadableModel(f"{file}: {shown(error)}", "vocabulary") from None


def no_vocabulary(file: str, tokens: int) -> UnreadableModel:
    """The error for a model of whose tokens only the number is known."""
    how = HOW_TO_GIVE
    if tokens in GPT2_SIZES:
        how = (
            "these are GPT-2's by their number: put its tokenizer.json beside the model (in a zip "
            f"with it), or {how}"
        )
    message = f"{file}: it has {tokens:,} tokens and does not say which; {how}"
    return UnreadableModel(message, "vocabulary")


def shakespeare_characters(file: str) -> Tokenizer:
    """Those of Tiny Shakespeare. Raises UnreadableModel where that cannot be had."""
    try:
        return CharTokenizer.from_text(tiny_shakespeare().text)
    except CorpusError as error:
        message = f"{file}: its tokens are Tiny Shakespeare's characters, but {error}"
        raise UnreadableModel(f"{message}; or {HOW_TO_GIVE}", "vocabulary") from None


def require_fit(tokenizer: Tokenizer, rows: int, file: str) -> None:
    """Raises UnreadableModel unless a model with so many rows has one for each token.

    Byte pairs may have fewer tokens by what rounding up their number adds.
    """
    tokens = tokenizer.vocab_size
    padded = {-(-tokens // size) * size for size in PADDED_TO} if tokenizer.kind == "bpe" else set()
    if rows not in {tokens, *padded}:
        message = f"{file}: the model has {rows:,} tokens, and the vocabulary {tokens:,}"
        raise UnreadableModel(f"{message}; {HOW_TO_GIVE}", "vocabulary")


def _file(path: Path) -> Tokenizer:
    """Raises ValueError, OSError."""
    with path.open("rb") as file:
        start = file.read(1)
    if path.suffix in {".pkl", ".pickle"} or start == b"\x80":
        return _of_kind("meta.pkl", path)
    return _of_kind("tokenizer.json", path) if path.suffix == ".json" else _of_text(path)


def _of_kind(name: str, path: Path) -> Tokenizer:
    """Raises ValueError, OSError."""
    if not name.endswith(".pkl"):
        return _of_json(read_json(path, MOST_VOCABULARY_BYTES))
    with path.open("rb") as file:
        content = read_plain_pickle(file.read(MOST_BYTES + 1))
    tokenizer = _of_tables(content) if isinstance(content, dict) else None
    if tokenizer is None:
        raise ValueError("it has neither itos nor stoi, as nanoGPT's meta.pkl has")
    return tokenizer


def _of_json(content: object) -> Tokenizer:
    """Ours, Hugging Face's, a list of characters, or tables. Raises ValueError."""
    if isinstance(content, list):
        return _of_characters(content)
    if not isinstance(content, dict):
        raise ValueError("neither a tokenizer nor a list of characters")  # noqa: TRY004 (as all)
    if "kind" in content:
        return tokenizer_from(content)
    if isinstance(content.get("model"), dict):
        return read_tokenizer_json(content)
    if tokenizer := _of_tables(content):
        return tokenizer
    is_by_character = all(isinstance(value, int) for value in content.values())
    return _of_characters(_by_id(content) if is_by_character else content)


def _of_tables(content: Mapping[str, Any]) -> CharTokenizer | None:
    """By `itos`, `stoi` or `chars`, which must agree. Raises ValueError."""
    found = {
        name: _of_characters(_by_id(content[name]) if name == "stoi" else content[name])
        for name in ("itos", "stoi", "chars")
        if content.get(name) is not None
    }
    if not found:
        return None
    (first, tokenizer), *others = found.items()
    for name, other in others:
        if other.vocabulary != tokenizer.vocabulary:
            raise ValueError(f"{first} and {name} do not say the same")
    return tokenizer


def _by_id(stoi: object) -> dict[int, str]:
    """Raises ValueError."""
    if not isinstance(stoi, dict) or not all(isinstance(id, int) for id in stoi.values()):
        raise ValueError("stoi must give each character its number")
    if len(set(stoi.values())) != len(stoi):
        raise ValueError("stoi gives two characters the same number")
    return {id: character for character, id in stoi.items()}


def _of_characters(itos: object) -> CharTokenizer:
    """In order, or by their numbers, which JSON writes as texts. Raises ValueError."""
    if isinstance(itos, dict):
        by_id = {str(id): character for id, character in itos.items()}
        if by_id.keys() != set(map(str, range(len(itos)))):
            raise ValueError(f"its tokens must be numbered from 0 to {len(itos) - 1}")
        itos = [by_id[str(id)] for id in range(len(itos))]
    if not isinstance(itos, Sequence) or not itos:
        raise ValueError("it has no list of characters")
    if not all(isinstance(character, str) for character in itos):
        raise ValueError("a token is no text")
    return CharTokenizer(itos)


def _of_text(path: Path) -> CharTokenizer:
    """Raises ValueError, OSError."""
    characters: set[str] = set()
    try:
        with path.open(encoding="utf-8", newline="") as text:
            characters.update(text.read(1).removeprefix(BYTE_ORDER_MARK))
            while some := text.read(CHARACTERS_AT_ONCE):
                characters.update(some)
    except UnicodeDecodeError:
        raise ValueError("neither JSON, a pickle nor a text in UTF-8") from None
    if not characters:
        raise ValueError("it is empty")
    return CharTokenizer(sorted(characters))
