"""What a Hugging Face folder says that cannot be honoured is refused by its name."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.tokenizer import CharTokenizer
from tests.foreign_models import (
    IDS,
    LETTERS,
    bring,
    nanogpt,
    plainly_read,
    refusal,
    require_same,
    save_huggingface,
)


def test_without_anything_odd_it_comes_in(tmp_path: Path) -> None:
    run = bring(save_huggingface(tmp_path / "gpt2"))
    require_same(run, *plainly_read(nanogpt(), IDS))


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "llama"},
        {"activation_function": "quick_gelu"},
        {"layer_norm_epsilon": 1e-6},
        {"add_cross_attention": True},
        {"pruned_heads": {"0": [1]}},
        {"quantization_config": {"bits": 4}},
        {"auto_map": {"AutoModel": "modeling.MyGPT2"}},
        {"n_ctx": 8},
        {"n_layer": 10**9},
        {"n_layer": 10**400},
        {"n_inner": 10**400},
        {"n_inner": 10**6},
        {"n_layer": 1.5},
        {"n_layer": "2"},
        {"n_layer": 0},
        {"n_head": 3},
        {"n_positions": 9000},
        {"vocab_size": True},
        {"layer_norm_epsilon": float("nan")},
        {"scale_attn_weights": 2},
        {"resid_pdrop": -1, "attn_pdrop": -1},
    ],
    ids=lambda settings: f"{settings!s:.40}",
)
def test_settings_are_refused_by_name(tmp_path: Path, settings: dict[str, Any]) -> None:
    refused = refusal(save_huggingface(tmp_path / "gpt2", **settings))
    assert refused.param == "file", refused
    assert "config.json" in str(refused)
    named = "n_embd" if settings == {"n_head": 3} else next(iter(settings))
    assert named in str(refused)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"model_type": "gpt2", "n_layer": ' + b"9" * 5000 + b"}",
        b" " * (1 << 20) + b"{}",
        b"null",
        b"{}",
    ],
    ids=lambda content: f"{content!r:.30}",
)
def test_a_configuration_that_is_none(tmp_path: Path, content: bytes) -> None:
    folder = save_huggingface(tmp_path / "gpt2")
    (folder / "config.json").write_bytes(content)
    refused = refusal(folder)
    assert refused.param == "file" and "config.json" in str(refused)


class TestWeights:
    def changed(self, tmp_path: Path, **tensors: torch.Tensor | None) -> Path:
        folder = save_huggingface(tmp_path / "gpt2")
        stored = load_file(folder / "model.safetensors")
        for name, tensor in tensors.items():
            full = f"transformer.{name.replace('__', '.')}"
            stored.pop(full, None)
            if tensor is not None:
                stored[full] = tensor
        save_file(stored, folder / "model.safetensors")
        return folder

    @pytest.mark.parametrize(
        ("tensors", "words"),
        [
            ({"ln_f__bias": None}, "ln_f.bias is missing"),
            ({"h__1__attn__c_attn__weight": torch.ones(24, 8)}, "24 x 8, and should be 8 x 24"),
            ({"wte__weight": torch.ones(12, 8)}, "wte.weight is 12 x 8"),
            ({"score__weight": torch.ones(2, 8)}, "score.weight"),
            ({"ln_f__bias": torch.full((8,), torch.nan)}, "ln_f.bias has a number that is not"),
            ({"ln_f__bias": torch.ones(8, dtype=torch.int32)}, "int32"),
            ({"ln_f__bias": torch.tensor(1.0)}, "a single number"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_that_do_not_fit(
        self, tmp_path: Path, tensors: dict[str, torch.Tensor | None], words: str
    ) -> None:
        refused = refusal(self.changed(tmp_path, **tensors))
        assert refused.param == "file"
        assert "model.safetensors" in str(refused) and words in str(refused)

    def test_masks_are_ignored(self, tmp_path: Path) -> None:
        mask = torch.ones(1, 1, 12, 12).tril()
        masks = {"h__0__attn__bias": mask, "h__0__attn__masked_bias": torch.tensor(-1e4)}
        require_same(bring(self.changed(tmp_path, **masks)), *plainly_read(nanogpt(), IDS))

    def test_tied_by_name_but_not_in_the_file(self, tmp_path: Path) -> None:
        folder = save_huggingface(tmp_path / "gpt2")
        stored = load_file(folder / "model.safetensors")
        save_file(stored | {"lm_head.weight": torch.ones(11, 8)}, folder / "model.safetensors")
        assert "tie_word_embeddings" in str(refusal(folder))

    @pytest.mark.parametrize("left", [0, 1, 7, 8, 100, 2000, 5000])
    def test_cut_off(self, tmp_path: Path, left: int) -> None:
        folder = save_huggingface(tmp_path / "gpt2")
        path = folder / "model.safetensors"
        assert path.stat().st_size > 5000
        path.write_bytes(path.read_bytes()[:left])
        assert "model.safetensors" in str(refusal(folder))

    @pytest.mark.parametrize(
        ("names", "words"),
        [
            (["pytorch_model.bin"], "save_pretrained"),
            (["model-00001-of-00002.safetensors"], "several files"),
            (["model.safetensors.index.json"], "several files"),
            ([], "model.safetensors is missing"),
        ],
    )
    def test_in_another_form(self, tmp_path: Path, names: list[str], words: str) -> None:
        folder = save_huggingface(tmp_path / "gpt2")
        (folder / "model.safetensors").unlink()
        for name in names:
            (folder / name).write_bytes(b"x")
        assert words in str(refusal(folder))


class TestTokenizer:
    def test_a_folder_without_one(self, tmp_path: Path) -> None:
        folder = save_huggingface(tmp_path / "gpt2")
        (folder / "vocabulary.json").unlink()
        refused = refusal(folder)
        assert refused.param == "vocabulary" and "tokenizer.json" in str(refused)

    def test_one_of_another_size(self, tmp_path: Path) -> None:
        folder = save_huggingface(tmp_path / "gpt2")
        refused = refusal(folder, vocabulary=CharTokenizer(LETTERS[:5]))
        assert refused.param == "vocabulary"
        assert "11 tokens" in str(refused) and "the vocabulary 5" in str(refused)

    @pytest.mark.parametrize("content", [{"model": {"type": "WordPiece"}}, {"model": 1}, [1], {}])
    def test_one_that_is_not_gpt2s(self, tmp_path: Path, content: object) -> None:
        folder = save_huggingface(tmp_path / "gpt2")
        (folder / "vocabulary.json").unlink()
        (folder / "tokenizer.json").write_text(json.dumps(content))
        refused = refusal(folder)
        assert refused.param == "vocabulary" and "tokenizer.json" in str(refused)
