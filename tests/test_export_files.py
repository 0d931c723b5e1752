"""What a run is taken out as: which formats there are, whole runs, weights, tokenizers."""

import json
import math
import shutil
import sys
from pathlib import Path

import pytest
import safetensors
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.attention import attention_maps
from model.config import BigramConfig, GPTConfig, ModelConfig, NGramConfig
from model.gpt import GPT
from model.interop.errors import NotExportable
from model.interop.exporting import export_run, formats_of
from model.interop.head_bias import without_head_bias
from model.interop.huggingface_tokenizer import read_tokenizer_json, tokenizer_json
from model.interop.importing import bring_in
from model.run_folder import BrokenRun, RunFolder
from model.tokenizer import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer
from tests.conftest import CHARACTERS, write_run
from tests.conftest import GPT as PLAIN
from tests.small_gpts import DESIGNS, random_gpt, random_ids

SIZE = len(CHARACTERS)
BIGRAM, NGRAM = BigramConfig(vocab_size=SIZE), NGramConfig(vocab_size=SIZE, order=3)
ALL = ["run", "safetensors", "huggingface", "onnx"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = write_run(tmp_path_factory.mktemp("runs"), "small", steps=(10, 50))
    folder.state.path.mkdir()
    (folder.state.path / "latest.pt").write_bytes(b"optimizer")
    (folder.path / ".model.safetensors.x1").write_bytes(b"half a file")
    return folder


# Formats


@pytest.mark.parametrize(
    ("config", "formats"),
    [
        (DESIGNS["plain"], ALL),
        (DESIGNS["gpt2"], ALL),
        (DESIGNS["today"], ["run", "safetensors", "onnx"]),
        (DESIGNS["window"], ["run", "safetensors", "onnx"]),
        (BIGRAM, ["run", "safetensors", "onnx"]),
        (NGRAM, ["run", "safetensors"]),
        (GPTConfig(n_layer=40, n_head=16, n_embd=1024), ["run", "safetensors", "huggingface"]),
    ],
)
def test_formats(config: ModelConfig, formats: list[str]) -> None:
    assert formats_of(config) == formats


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"position": "rotary"}, "rotary positions"),
        ({"position": "rotary", "attention_window": 4}, "rotary positions, an attention window"),
        ({"norm": "rmsnorm"}, "RMSNorm"),
        ({"qk_norm": True}, "qk_norm"),
        ({"qk_gain": True}, "qk_gain"),
        ({"qkv_conv": 2}, "qkv_conv"),
        ({"activation": "swiglu"}, "SwiGLU"),
        (BIGRAM, "bigram"),
        (NGRAM, "n-gram"),
    ],
)
def test_what_gpt2_does_not_have_is_named(
    change: dict | ModelConfig, named: str, tmp_path: Path
) -> None:
    config = PLAIN.model_copy(update=change) if isinstance(change, dict) else change
    folder = write_run(tmp_path, "small", config)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(NotExportable, match=named) as caught:
        export_run(folder, "huggingface", scratch)
    assert ", ".join(formats_of(config)) in str(caught.value)
    assert not list(scratch.iterdir())


def test_without_the_package_onnx_says_what_to_install(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(NotExportable, match=r"pip install 'sidelight\[onnx\]'"):
        export_run(run, "onnx", tmp_path)
    assert "onnx" not in formats_of(run.read_config().model)


def test_a_step_that_is_not_there(run: RunFolder, tmp_path: Path) -> None:
    for format in ("safetensors", "huggingface", "onnx"):
        with pytest.raises(BrokenRun, match="step-000011"):
            export_run(run, format, tmp_path, 11)


# A whole run, and its weights


def test_a_whole_run_is_all_that_counts(run: RunFolder, tmp_path: Path) -> None:
    files = export_run(run, "run", tmp_path)
    assert sorted(files) == [
        "small/config.json",
        "small/metrics.jsonl",
        "small/model.safetensors",
        "small/samples.jsonl",
        "small/snapshots/step-000010.safetensors",
        "small/snapshots/step-000050.safetensors",
        "small/tokenizer.json",
    ]
    assert all(path == run.path.parent / name for name, path in files.items())
    assert not list(tmp_path.iterdir()), "nothing had to be made"
    with pytest.raises(NotExportable, match="leave the step out"):
        export_run(run, "run", tmp_path, 10)


@pytest.mark.parametrize(
    ("config", "step"),
    [(PLAIN, None), (PLAIN, 10), (DESIGNS["gpt2"], 10), (BIGRAM, 10), (NGRAM, None)],
)
def test_weights_are_a_run_again(config: ModelConfig, step: int | None, tmp_path: Path) -> None:
    config = config.model_copy(update={"vocab_size": SIZE})
    run = write_run(tmp_path, "small", config, steps=(10,))
    scratch, copy, into = tmp_path / "scratch", tmp_path / "copy", tmp_path / "into"
    for folder in (scratch, copy, into):
        folder.mkdir()
    files = export_run(run, "safetensors", scratch, step)
    assert sorted(files) == ["config.json", "model.safetensors", "tokenizer.json"]
    for name, path in files.items():
        shutil.copy(path, copy / name)
    again = bring_in(copy, into, "again", name="copy.zip", most_bytes=10**7)
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(again.load_model()(ids), run.load_model(step)(ids))
    assert again.read_config().model == config
    with safetensors.safe_open(copy / "model.safetensors", "pt") as weights:
        kinds = {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118
    assert "F16" not in kinds
    assert config.kind == "ngram" or kinds == {"F32"}


# The bias of the output layer


@pytest.mark.parametrize(
    "change", [{}, {"activation": "relu2", "qkv_bias": True, "mlp_ratio": 2.7}, {"bias": False}]
)
@torch.inference_mode()
def test_the_bias_of_the_output_layer_can_do_without_it(change: dict) -> None:
    """In double precision, so that what is the same is so to twelve digits."""
    ours = random_gpt(DESIGNS["plain"].model_copy(update=change))
    config, tensors = without_head_bias(ours.config, dict(ours.state_dict()))
    assert "lm_head.bias" not in tensors
    again = GPT(config).double().eval()
    again.load_weights(tensors)
    ids = random_ids(ours.config, 12)
    logits = ours(torch.tensor([ids]))
    assert (again(torch.tensor([ids])) - logits).abs().max() < 1e-12 * logits.abs().max()
    assert (attention_maps(again, ids) - attention_maps(ours, ids)).abs().max() < 1e-6
    assert ours.lm_head.bias.abs().max() > 0.1
    assert math.isclose(config.mlp_ratio * config.n_embd, ours.config.mlp_ratio * 8)


# Tokenizers


TEXT = "Čtyři řádky, 4 × €5.\n  We're the   same; they're not:\n\n🙂🙂 words words words\r\n" * 9
TOKENIZERS = [CharTokenizer.from_text(TEXT), ByteTokenizer(), BPETokenizer.train(TEXT, 300)]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: t.kind)
@given(text=st.text(sorted(set(TEXT)), max_size=80))
def test_every_text_has_the_same_ids_in_the_library(tokenizer: Tokenizer, text: str) -> None:
    library = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_json(tokenizer)))
    ids = library.encode(text).ids
    assert ids == tokenizer.encode(text)
    assert library.decode(ids) == text


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: t.kind)
def test_a_tokenizer_comes_back(tokenizer: Tokenizer) -> None:
    again = read_tokenizer_json(json.loads(json.dumps(tokenizer_json(tokenizer))))
    assert type(again) is type(tokenizer)
    assert again.document() == tokenizer.document()


CHARACTERS_DOCUMENT = tokenizer_json(TOKENIZERS[0])
WORDS = CHARACTERS_DOCUMENT["model"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "normalizer is not as"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer is not as"),
        ({"decoder": None}, "decoder is not as"),
        ({"added_tokens": [{"id": 0, "content": "a"}]}, "added_tokens is not as"),
        ({"model": WORDS | {"vocab": {"a": 0, "b": 2}}}, "from 0 on"),
        ({"model": WORDS | {"vocab": {"a": 0, "b": 0}}}, "from 0 on"),
        ({"model": WORDS | {"vocab": ["a", "b"]}}, "from 0 on"),
        ({"model": WORDS | {"vocab": {"a": [0]}}}, "from 0 on"),
        ({"model": WORDS | {"vocab": {"ab": 0}}}, "exactly one character"),
    ],
)
def test_words_that_are_no_characters_are_refused(change: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_tokenizer_json(CHARACTERS_DOCUMENT | change)
