"""GPT-2's own tokenizer, and those of its family, as the `tokenizer.json` of transformers."""

import json
import random
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from model import bpe_tokenizer
from model.run_folder import RunFolder
from model.tokenizer import BPETokenizer, tokenizer_from

TEXT = "We're the   same; they're not:\n\nČtyři řádky, 4 × €5, 🙂🙂 words words words\n" * 9
END = "<|endoftext|>"


def learned() -> dict:
    """A small tokenizer.json, which has 290 tokens and the end of a text behind them."""
    tokenizer = tokenizers.Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(vocab_size=290, initial_alphabet=ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.add_special_tokens([END])
    return json.loads(tokenizer.to_str())


DOCUMENT = learned()
MODEL = DOCUMENT["model"]
OURS = BPETokenizer.from_huggingface(DOCUMENT)
LIBRARY = tokenizers.Tokenizer.from_str(json.dumps(DOCUMENT))


def gpt2s() -> dict:
    """As GPT-2's file is written: pairs as `a b`, the end in the vocabulary too, less is said."""
    model = {name: MODEL[name] for name in ("dropout", "unk_token", "fuse_unk")}
    affixes = {"continuing_subword_prefix": "", "end_of_word_suffix": ""}
    merges = [" ".join(pair) for pair in MODEL["merges"]]
    vocabulary = MODEL["vocab"] | {END: 290}
    return DOCUMENT | {
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False},
        "model": model | affixes | {"vocab": vocabulary, "merges": merges},
    }


alphabet = " '’srevtlmd12.!\n\t\r \u00a0\u2003\u3000\x1c\x85éř🙂<|endoftx>"
pieces = st.sampled_from([END, "<|end", " ", "\n", "words", "'re", "12", "🙂"])
anything = (
    st.text(st.characters(codec="utf-8", max_codepoint=0x1FFFF), max_size=60)
    | st.text(alphabet, max_size=80)
    | st.lists(pieces, max_size=20).map("".join)
)


@given(text=anything)
def test_every_text_has_the_librarys_ids(text: str) -> None:
    expected = LIBRARY.encode(text).ids
    assert OURS.encode(text) == expected
    assert OURS.decode(expected) == text == LIBRARY.decode(expected, skip_special_tokens=False)
    assert b"".join(map(OURS.token_bytes, expected)) == text.encode()


@pytest.mark.parametrize("document", [DOCUMENT, gpt2s()], ids=["newer", "older"])
def test_every_text_has_the_ids_of_transformers(document: dict, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    ours = BPETokenizer.from_huggingface(document)
    assert ours.vocab_size == len(theirs) == 291
    for text in (TEXT, END, f"a{END}{END} b\n{END}", "words" * 60, " " * 301, "", "'s's 's"):
        ids = theirs(text).input_ids
        assert ours.encode(text) == ids
        assert ours.decode(ids) == theirs.decode(ids) == text
    shown = [ours.token_text(id) for id in range(291)]
    assert shown[290] == END
    for id, text in enumerate(shown):
        whole = theirs.decode([id])
        assert text == whole or (text.startswith("bytes:") and "\ufffd" in whole)


@given(text=st.lists(pieces | st.sampled_from("ab4.'"), max_size=60).map("".join))
def test_parts_have_the_ids_of_the_whole(text: str) -> None:
    with pytest.MonkeyPatch.context() as small:
        small.setattr(bpe_tokenizer, "PART_CHARACTERS", 5)
        small.setattr(bpe_tokenizer, "CHARACTERS_AT_ONCE", 12)
        assert OURS.encode(text) == LIBRARY.encode(text).ids


@pytest.mark.parametrize("part", ["words", "wore", "1", " ", "🙂"])
def test_a_word_without_end_is_one_word_and_quickly_cut(part: str) -> None:
    text = part * 20_000 + "".join(random.Random(0).choices(part, k=50_000))
    assert OURS.encode(text) == LIBRARY.encode(text).ids


def test_what_transformers_saves_is_read(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(DOCUMENT | {"post_processor": None}))
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    theirs.save_pretrained(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "tokenizer.json").read_text())
    only_a = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}]}
    for document in (saved, saved | {"post_processor": only_a | {"special_tokens": {}}}):
        assert BPETokenizer.from_huggingface(document).document() == OURS.document()


def test_the_end_of_a_text_is_known() -> None:
    assert OURS.end_id == 290
    assert BPETokenizer.from_huggingface(gpt2s()).end_id == 290
    assert BPETokenizer.from_huggingface(DOCUMENT | {"added_tokens": []}).end_id is None
    assert BPETokenizer.train(TEXT, 300).end_id is None


def test_it_is_kept_in_a_run_folder(tmp_path: Path) -> None:
    again = tokenizer_from(json.loads(json.dumps(OURS.document())))
    assert (again.kind, again.end_id, again.vocab_size) == ("bpe", 290, 291)
    text = f"{TEXT}{END}{'1' * 100}"
    assert again.document() == OURS.document()
    assert again.encode(text) == OURS.encode(text) == LIBRARY.encode(text).ids
    folder = RunFolder(tmp_path)
    folder.write_tokenizer(OURS)
    assert folder.read_tokenizer().encode(text) == OURS.encode(text)


def test_what_sidelight_learned_is_read_too() -> None:
    own = BPETokenizer.train(TEXT, 300)
    again = BPETokenizer.from_huggingface(own.document()["tokenizer"])
    assert again.encode("1" * 100) == own.encode("1" * 100)
    assert again.document() == own.document()


def added(content: str, id: int = 291, **flags: bool) -> list[dict]:
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    token = {"id": id, "content": content, "special": True} | usual | flags
    return [*DOCUMENT["added_tokens"], token]


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
ADDS = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": END, "type_id": 0}}]}
VOCAB = MODEL["vocab"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"normalizer": {"type": "NFC"}}, 'normalizer is {"type": "NFC"}'),
        ({"pre_tokenizer": BYTE_LEVEL | {"add_prefix_space": True}}, "without add_prefix_space"),
        ({"pre_tokenizer": BYTE_LEVEL | {"use_regex": False}}, "pre_tokenizer is"),
        ({"pre_tokenizer": {"type": "ByteLevel"}}, "pre_tokenizer is"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, 'pre_tokenizer is {"type": "Whitespace"}'),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [BYTE_LEVEL]}}, "pre_tokenizer"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [1, 2]}}, "pre_tokenizer is"),
        ({"post_processor": ADDS}, 'post_processor is {"type": "TemplateProcessing"'),
        ({"decoder": None}, "decoder.type is null"),
        ({"decoder": {"type": "WordPiece"}}, "decoder.type is"),
        ({"model": MODEL | {"type": "WordLevel"}}, "model.type is"),
        ({"model": MODEL | {"dropout": 0.1}}, "model.dropout is 0.1"),
        ({"model": MODEL | {"unk_token": END}}, "model.unk_token is"),
        ({"model": MODEL | {"continuing_subword_prefix": "##"}}, "model.continuing_subword_prefix"),
        ({"model": MODEL | {"end_of_word_suffix": "</w>"}}, "model.end_of_word_suffix"),
        ({"model": MODEL | {"byte_fallback": True}}, "model.byte_fallback is true"),
        ({"model": MODEL | {"ignore_merges": True}}, "model.ignore_merges is true"),
        ({"model": MODEL | {"merges": ["a b c"]}}, "model.merges.0"),
        ({"model": MODEL | {"vocab": VOCAB | {"zz": 292}}}, "ids must be 0 to 290, each once"),
        ({"model": MODEL | {"vocab": VOCAB | {"zz": 7}}}, "ids must be 0 to 290, each once"),
        (
            {"model": MODEL | {"vocab": VOCAB | {END: 290, "a b": 291}}},
            "'a b' is not written in bytes",
        ),
        ({"added_tokens": added("<x>", lstrip=True)}, "added_tokens.1.lstrip"),
        ({"added_tokens": added("<x>", rstrip=True)}, "added_tokens.1.rstrip"),
        ({"added_tokens": added("<x>", single_word=True)}, "added_tokens.1.single_word"),
        ({"added_tokens": added("<x>", 292)}, "'<x>' must have id 291, not 292"),
        ({"added_tokens": added("<x>", 0)}, "'<x>' must have id 291, not 0"),
        ({"added_tokens": added(END, 290)}, "the same token twice"),
        ({"added_tokens": added("")}, "added_tokens.1.content"),
        ({"added_tokens": added("«x»")}, "reads as bytes that are not its own"),
        ({"added_tokens": added("\ud800")}, "added_tokens.1.content"),
        ({"added_tokens": added("the end")}, "'the end' is more than a word"),
    ],
)
def test_what_cuts_a_text_otherwise_is_refused(change: dict, says: str) -> None:
    BPETokenizer.from_huggingface(DOCUMENT | {"added_tokens": added("<x>")})
    with pytest.raises(ValueError, match=says):
        BPETokenizer.from_huggingface(DOCUMENT | change)
