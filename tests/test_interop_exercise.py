"""The exercise's per-head model and its bigram become runs that say and look at the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.exercise import BLOCK_SIZE, N_HEAD, LanguageModel
from model.tokenizer import CharTokenizer
from tests.foreign_models import (
    IDS,
    LETTERS,
    TOLERANCE,
    LectureModel,
    bring,
    characters,
    refusal,
    require_same,
)

TOKENIZER = CharTokenizer(LETTERS)


def saved(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "model.pt"
    torch.save(content, path)
    return path


def renamed(weights: dict[str, Tensor], **parts: str) -> dict[str, Tensor]:
    """Under other names, part by part."""
    return {".".join(parts.get(part, part) for part in n.split(".")): w for n, w in weights.items()}


@pytest.mark.parametrize(
    ("prefix", "design"),
    [
        ("", {}),
        ("model.", {"n_layer": 1, "n_head": 1}),
        ("module.", {"n_layer": 3, "n_head": 2}),
        ("_orig_mod.module.", {"n_head": 8}),
    ],
)
def test_logits_and_maps_are_the_origins(
    tmp_path: Path, prefix: str, design: dict[str, int]
) -> None:
    model = LectureModel(**design)
    weights = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    run = bring(saved(tmp_path, weights), vocabulary=TOKENIZER)
    require_same(run, model(IDS), model.maps(IDS))
    config = run.read_config()
    assert config.imported is not None and config.imported.layout == "exercise"
    assert config.train is None and config.imported.steps is None
    assert config.params == sum(weight.numel() for weight in model.parameters())


def test_other_spellings(tmp_path: Path) -> None:
    model = LectureModel()
    weights = renamed(
        {n.replace("ffwd.net.", "feed_forward."): w for n, w in model.state_dict().items()},
        sa="attention",
        token_embedding_table="token_embedding",
        position_embedding_table="position_embedding",
    )
    assert "blocks.0.feed_forward.2.bias" in weights
    run = bring(saved(tmp_path, weights), vocabulary=TOKENIZER)
    require_same(run, model(IDS), model.maps(IDS))


def test_biases_are_as_the_file_has_them(tmp_path: Path) -> None:
    model = LectureModel()
    model.lm_head.register_parameter("bias", None)
    for block in model.blocks:
        for layer in (block.sa.proj, block.ffwd.net[0], block.ffwd.net[2]):
            layer.register_parameter("bias", None)
        for head in block.sa.heads:
            for layer in (head.query, head.key, head.value):
                layer.bias = nn.Parameter(torch.randn(2))
    run = bring(saved(tmp_path, model.state_dict()), vocabulary=TOKENIZER)
    require_same(run, model(IDS), model.maps(IDS))
    assert run.read_config().params == sum(weight.numel() for weight in model.parameters())


def test_the_script_of_the_benchmarks(tmp_path: Path) -> None:
    """It is written apart from all this, at the exercise's own size."""
    torch.manual_seed(0)
    model = LanguageModel(len(LETTERS), scaled_by=16).eval()
    run = bring(saved(tmp_path, model.state_dict()), vocabulary=TOKENIZER)
    ids = torch.randint(
        0, len(LETTERS), (2, BLOCK_SIZE), generator=torch.Generator().manual_seed(1)
    )
    with torch.inference_mode():
        theirs, ours = model(ids)[0], run.load_model()(ids)
    assert (theirs - ours).abs().max() < TOLERANCE
    assert run.read_config().model.n_head == N_HEAD


@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("model", {"itos": dict(enumerate(LETTERS))}),
        ("model", {"itos": list(LETTERS)}),
        ("model_state_dict", {"stoi": {letter: i for i, letter in enumerate(LETTERS)}}),
        ("state_dict", {"chars": LETTERS}),
        ("state_dict", {"chars": list(LETTERS), "itos": dict(enumerate(LETTERS)), "step": 11}),
    ],
)
def test_a_dict_with_its_vocabulary(tmp_path: Path, key: str, table: dict[str, Any]) -> None:
    model = LectureModel()
    run = bring(saved(tmp_path, {key: model.state_dict(), "epoch": 5, **table}))
    assert characters(run) == LETTERS
    require_same(run, model(IDS), model.maps(IDS))


def test_parameters_instead_of_tensors(tmp_path: Path) -> None:
    model = LectureModel()
    run = bring(saved(tmp_path, dict(model.named_parameters())), vocabulary=TOKENIZER)
    require_same(run, model(IDS), model.maps(IDS))


def test_the_bigram(tmp_path: Path) -> None:
    table = torch.randn(len(LETTERS), len(LETTERS))
    path = saved(tmp_path, {"token_embedding_table.weight": table})
    run = bring(path, vocabulary=TOKENIZER)
    assert run.read_config().model.kind == "bigram"
    assert torch.equal(run.load_model()(torch.tensor([IDS]))[0], table[IDS])


class TestRefused:
    def refusal(self, tmp_path: Path, content: Any, param: str = "file") -> str:
        refused = refusal(saved(tmp_path, content), vocabulary=TOKENIZER)
        assert refused.param == param and "model.pt" in str(refused)
        return str(refused)

    def test_without_a_vocabulary(self, tmp_path: Path) -> None:
        refused = refusal(saved(tmp_path, LectureModel().state_dict()))
        assert refused.param == "vocabulary" and "11 tokens" in str(refused)

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            ({"chars": LETTERS[:-1] + "a"}, "twice"),
            ({"itos": {0: "a", 2: "b"}}, "numbered from 0 to 1"),
            ({"itos": ["ab", "c"]}, "exactly one character"),
            ({"stoi": {"a": 0, "b": 0}}, "same number"),
            ({"chars": "ab", "stoi": {"a": 1, "b": 0}}, "do not say the same"),
            ({"chars": 5}, "no list of characters"),
        ],
    )
    def test_a_vocabulary_that_is_none(
        self, tmp_path: Path, table: dict[str, Any], words: str
    ) -> None:
        content = {"model": LectureModel().state_dict(), **table}
        refused = refusal(saved(tmp_path, content))
        assert refused.param == "vocabulary" and words in str(refused)

    def test_a_vocabulary_of_another_size(self, tmp_path: Path) -> None:
        table = {"token_embedding_table.weight": torch.ones(64, 64)}
        assert "64 tokens" in self.refusal(tmp_path, table, "vocabulary")

    def test_a_bigram_that_is_not_square(self, tmp_path: Path) -> None:
        table = {"token_embedding_table.weight": torch.ones(11, 12)}
        assert "11 x 12, and should be 11 x 11" in self.refusal(tmp_path, table)

    @pytest.mark.parametrize(
        ("name", "tensor", "words"),
        [
            ("blocks.1.sa.heads.2.value.weight", None, "blocks.1.sa.heads.2.value.weight is miss"),
            ("blocks.0.sa.heads.0.key.weight", torch.ones(2, 9), "2 x 9, and should be 2 x 8"),
            ("blocks.1.sa.heads.4.key.weight", torch.ones(2, 8), "heads.4.key.weight is left over"),
            ("blocks.7.ln1.weight", torch.ones(8), "blocks.2.ln1.weight"),
            ("position_embedding_table.weight", None, "position_embedding_table.weight is missing"),
            ("position_embedding_table.weight", torch.ones(0, 8), "position_embedding_table"),
            ("blocks.0.ffwd.net.0.weight", torch.ones(8), "no matrix"),
            ("blocks.0.ffwd.net.0.weight", torch.ones(200, 8), "mlp_ratio"),
            ("ln_f.bias", torch.full((8,), -torch.inf), "ln_f.bias has a number that is not fin"),
            ("token_embedding.weight", torch.ones(11, 8), "token_embedding.weight is left over"),
        ],
    )
    def test_tensors_that_do_not_fit(
        self, tmp_path: Path, name: str, tensor: Tensor | None, words: str
    ) -> None:
        weights = LectureModel().state_dict()
        weights.pop(name, None)
        if tensor is not None:
            weights[name] = tensor
        assert words in self.refusal(tmp_path, weights)

    def test_heads_that_share_a_matrix(self, tmp_path: Path) -> None:
        model = nn.ModuleDict({"token_embedding_table": nn.Embedding(11, 8)})
        model["qkv"] = nn.Linear(8, 24)
        assert "a module for each head" in self.refusal(tmp_path, model.state_dict())

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ({}, "no state dict"),
            ({"model": [1]}, "no state dict"),
            ({"weights": torch.ones(2)}, "named neither"),
            (nn.Linear(2, 2).state_dict(), "named neither"),
            ([torch.ones(2)], "no dict"),
            ({1: torch.ones(2)}, "no state dict"),
        ],
    )
    def test_what_is_no_model_at_all(self, tmp_path: Path, content: Any, words: str) -> None:
        assert words in self.refusal(tmp_path, content)
