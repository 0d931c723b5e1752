"""Whatever GPT-2 transformers saves becomes a run that says and looks at the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

from model.interop.huggingface import _Settings
from model.run_folder import RunFolder
from model.tokenizer import CharTokenizer
from tests.foreign_models import (
    IDS,
    LETTERS,
    bring,
    chosen_at_random,
    refusal,
    require_same,
    zipped,
)

DESIGNS: dict[str, dict[str, Any]] = {
    "as GPT-2": {},
    "untied": {"tie_word_embeddings": False},
    "exact GELU": {"activation_function": "gelu"},
    "torch's tanh": {"activation_function": "gelu_pytorch_tanh"},
    "ReLU": {"activation_function": "relu"},
    "squared ReLU": {"activation_function": "relu2"},
    "narrow": {"n_inner": 12},
    "scores as they are": {"scale_attn_weights": False},
    "scores by layer": {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True},
    "all at once": {
        "scale_attn_weights": False,
        "scale_attn_by_inverse_layer_idx": True,
        "tie_word_embeddings": False,
        "n_inner": 20,
        "n_head": 4,
        "n_layer": 3,
    },
}


def theirs(**design: Any) -> GPT2LMHeadModel:
    config = {"n_layer": 2, "n_head": 2, "n_embd": 8, "n_positions": 12, "vocab_size": len(LETTERS)}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    model = GPT2LMHeadModel(GPT2Config(**config | ends | design, attn_implementation="eager"))
    chosen_at_random(model)
    return model.eval()


def brought(source: Path) -> RunFolder:
    return bring(source, vocabulary=CharTokenizer(LETTERS))


@torch.inference_mode()
def require_theirs(run: RunFolder, model: GPT2LMHeadModel) -> None:
    expected = model(torch.tensor([IDS]), output_attentions=True)
    require_same(run, expected.logits[0], torch.cat(expected.attentions))


@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
def test_logits_and_maps_are_the_origins(tmp_path: Path, design: dict[str, Any]) -> None:
    model = theirs(**design)
    model.save_pretrained(tmp_path / "gpt2")
    run = brought(tmp_path / "gpt2")
    require_theirs(run, model)
    config = run.read_config()
    assert config.imported is not None and config.imported.layout == "huggingface"
    assert config.params == run.load_model().size == model.num_parameters()
    assert config.software.keys() == {"transformers"}


def test_a_zip_of_the_folder(tmp_path: Path) -> None:
    model = theirs()
    model.save_pretrained(tmp_path / "gpt2")
    require_theirs(brought(zipped(tmp_path / "gpt2", tmp_path / "gpt2.zip", "gpt2/")), model)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(tmp_path: Path, kind: torch.dtype) -> None:
    model = theirs().to(kind)
    model.save_pretrained(tmp_path / "gpt2")
    require_theirs(brought(tmp_path / "gpt2"), model.float())


def test_the_model_without_its_output_layer(tmp_path: Path) -> None:
    model = theirs()
    inner = GPT2Model(model.config).eval()
    inner.load_state_dict(model.transformer.state_dict())
    inner.save_pretrained(tmp_path / "gpt2")
    require_theirs(brought(tmp_path / "gpt2"), model)


def test_a_folder_of_links_as_the_hub_keeps_it(tmp_path: Path) -> None:
    model = theirs()
    model.save_pretrained(tmp_path / "blobs")
    kept = tmp_path / "models--someone--tiny" / "snapshots" / "0f1e"
    kept.mkdir(parents=True)
    for path in (tmp_path / "blobs").iterdir():
        (kept / path.name).symlink_to(path)
    require_theirs(brought(kept), model)


def test_sharded_weights_are_refused_with_what_to_do(tmp_path: Path) -> None:
    theirs(n_embd=64).save_pretrained(tmp_path / "gpt2", max_shard_size="20KB")
    assert (tmp_path / "gpt2" / "model.safetensors.index.json").exists()
    refused = refusal(tmp_path / "gpt2", vocabulary=CharTokenizer(LETTERS))
    assert refused.param == "file" and "max_shard_size" in str(refused)


def test_defaults_are_transformers_own(tmp_path: Path) -> None:
    """What `config.json` leaves out is as transformers takes it to be."""
    ours = _Settings(model_type="gpt2").model_dump()
    known = GPT2Config().to_dict()
    differing = {name: ours[name] for name in ours if name in known and ours[name] != known[name]}
    assert not differing.keys() - {"transformers_version"}, json.dumps(differing)
