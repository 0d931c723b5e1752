"""The estimate of memory against what torch really keeps, and the counts against real models."""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from model.config import BigramConfig, GPTConfig, ModelConfig, NGramConfig, TrainConfig
from model.families import build_model
from model.memory import TrainingMemory, training_memory
from model.optim import build_optimizers
from model.parameter_count import parameter_count
from model.presets import PRESETS

TOKENS = 1_000_000
SMALL = GPTConfig(vocab_size=50, n_layer=2, n_head=4, n_embd=64)
MODERN = {"position": "rotary", "norm": "rmsnorm", "qk_norm": True, "activation": "swiglu"}


@st.composite
def gpt_configs(draw) -> GPTConfig:
    """Small networks with any of the options, in any combination that is allowed."""
    choices = {
        "vocab_size": st.integers(2, 300),
        "block_size": st.integers(1, 64),
        "n_layer": st.integers(1, 3),
        "n_head": st.integers(1, 4),
        "dropout": st.sampled_from([0.0, 0.1]),
        "position": st.sampled_from(["learned", "rotary"]),
        "norm": st.sampled_from(["layernorm", "rmsnorm"]),
        "qkv_conv": st.integers(0, 3),
        "activation": st.sampled_from(["relu", "gelu", "gelu_erf", "relu2", "swiglu"]),
        "mlp_ratio": st.sampled_from([1.0, 2.7, 4.0]),
    }
    flags = ("qk_norm", "qk_gain", "bias", "qkv_bias", "head_bias", "tie_weights")
    fields = {name: draw(choice) for name, choice in choices.items()}
    fields |= {name: draw(st.booleans()) for name in flags}
    if fields["position"] == "rotary":
        windows = st.none() | st.integers(1, fields["block_size"])
        fields["attention_window"] = draw(windows)
    fields["n_embd"] = fields["n_head"] * draw(st.integers(1, 12))
    try:
        return GPTConfig(**fields)
    except ValidationError:  # an odd head size with rotary positions, a bias of tied weights
        reject()


@given(gpt_configs())
def test_the_count_is_that_of_the_real_transformer(config: GPTConfig) -> None:
    assert parameter_count(config) == build_model(config).size


@pytest.mark.parametrize("config", [BigramConfig(vocab_size=70), NGramConfig(order=3)])
def test_the_count_is_that_of_the_real_tables(config: ModelConfig) -> None:
    assert parameter_count(config) == build_model(config).size


def test_a_huge_transformer_is_counted_without_being_built() -> None:
    config = GPTConfig(n_layer=96, n_head=64, n_embd=8192, block_size=8192, vocab_size=100_000)
    with torch.device("meta"):
        assert parameter_count(config) == build_model(config).size > 70e9


def kept_for_the_backward_pass(config: GPTConfig, train: TrainConfig) -> int:
    """Bytes of the different storages that autograd saves, but the parameters' and the loss'."""
    model = build_model(config).train()
    known = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in known:
            kept[place] = tensor  # holding it, no other one can take its place
        return tensor

    ids = torch.randint(
        config.vocab_size, (train.batch_size // train.grad_accum, config.block_size)
    )
    lower = train.precision == "bfloat16"
    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16) if lower else nullcontext(),
    ):
        logits = model(ids)
    assert logits.requires_grad
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("block_size", [8, 128])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "rmsnorm", "activation": "gelu"},
        {"activation": "relu2", "tie_weights": True, "head_bias": False},
        {"activation": "swiglu", "mlp_ratio": 2.5},
        {"position": "rotary"},
        {"qk_norm": True},
        {"qkv_conv": 3, "qk_gain": True},
        {"dropout": 0.2},
        {"dropout": 0.2, "n_head": 8, "activation": "gelu"},
        MODERN,
        {**MODERN, "qkv_conv": 3, "qk_gain": True, "dropout": 0.1},
    ],
    ids=str,
)
def test_activations_are_those_that_autograd_keeps(options, block_size, precision) -> None:
    config = GPTConfig(**{**dict(SMALL), "block_size": block_size, **options})
    train = TrainConfig(batch_size=12, grad_accum=2, precision=precision)
    estimate = training_memory(config, train, TOKENS).activations
    assert estimate == pytest.approx(kept_for_the_backward_pass(config, train), rel=0.25)


@settings(max_examples=40)
@given(gpt_configs(), st.sampled_from(["float32", "bfloat16"]))
def test_activations_of_any_options_are_about_right(config: GPTConfig, precision) -> None:
    # Where vectors are long and windows not tiny, statistics and padding count for little.
    changes = {"n_embd": 16 * config.n_head, "block_size": 16 + config.block_size}
    config = config.model_copy(update=changes)
    train = TrainConfig(batch_size=8, precision=precision)
    estimate = training_memory(config, train, TOKENS).activations
    assert estimate == pytest.approx(kept_for_the_backward_pass(config, train), rel=0.3)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("model", [SMALL, GPTConfig(**MODERN), BigramConfig()], ids=str)
def test_weights_gradients_and_optimizer_are_as_large_as_the_real_ones(model, optimizer) -> None:
    train = TrainConfig(optimizer=optimizer)
    network = build_model(model)
    ids = torch.randint(model.vocab_size, (2, 1))
    F.cross_entropy(network(ids).flatten(0, 1), ids.flatten()).backward()
    optimizers = build_optimizers(network, train)
    for each in optimizers:
        each.step()
    states = [state for each in optimizers for state in each.state.values()]
    means = sum(value.nbytes for state in states for value in state.values() if value.ndim)
    memory = training_memory(model, train, TOKENS)
    assert memory.weights == memory.recorder == sum(p.nbytes for p in network.parameters())
    assert memory.gradients == sum(p.grad.nbytes for p in network.parameters())
    assert memory.optimizer == means


def test_an_ngram_model_is_never_larger_than_was_said() -> None:
    config = NGramConfig(vocab_size=30, order=4)
    ids = torch.randint(30, (20_000,), generator=torch.Generator().manual_seed(0))
    model = build_model(config)
    model.count(ids)
    real = sum(buffer.nbytes for buffer in model.buffers())
    assert 0.8 * (memory := training_memory(config, TrainConfig(), len(ids))).weights < real
    assert real <= memory.weights


def memory_of(model: ModelConfig = SMALL, tokens: int = TOKENS, **train) -> TrainingMemory:
    return training_memory(model, TrainConfig(**train), tokens)


def test_the_total_is_the_sum_of_what_there_is() -> None:
    parts = {name: value for name, value in vars(memory_of()).items() if name != "largest_field"}
    assert memory_of().total == sum(parts.values())
    assert all(value > 0 for value in parts.values())


def test_parts_of_a_batch_need_less_and_a_longer_text_more() -> None:
    whole, parts = memory_of(batch_size=64), memory_of(batch_size=64, grad_accum=8)
    assert whole.activations == 8 * parts.activations
    assert whole.weights == parts.weights
    assert memory_of(tokens=2 * TOKENS).total - memory_of().total == 8 * TOKENS


def test_maps_of_attention_are_kept_where_torch_has_no_better_way() -> None:
    """Found for the CPU by looking; the fused kernels of CUDA drop numbers without the maps."""
    model = SMALL.model_copy(update={"block_size": 1024, "dropout": 0.1})
    without = SMALL.model_copy(update={"block_size": 1024})
    of = {
        (config.dropout, device): training_memory(config, TrainConfig(), TOKENS, device).activations
        for config in (model, without)
        for device in ("cpu", "cuda", "mps")
    }
    maps = 16 * 2 * 3 * 4 * 4 * 1024 * 1024  # windows, layers, each three times, float32, heads
    assert of[0.1, "cpu"] - of[0.1, "cuda"] == maps
    assert of[0.0, "cpu"] == of[0.0, "cuda"]
    assert of[0.0, "mps"] > of[0.0, "cpu"]


WIDE = {"n_embd": 2048, "n_layer": 12}


@pytest.mark.parametrize(
    ("model", "train", "tokens", "field"),
    [
        ({}, {"batch_size": 4096}, TOKENS, "train.batch_size"),
        ({"block_size": 8192}, {"batch_size": 1}, TOKENS, "model.block_size"),
        ({"block_size": 8192}, {"batch_size": 4, "grad_accum": 4}, TOKENS, "model.block_size"),
        ({"block_size": 8192}, {"batch_size": 1, "window": 4096}, TOKENS, "train.window"),
        (WIDE, {}, TOKENS, "model.n_embd"),
        ({"vocab_size": 1_000_000}, {}, TOKENS, "model.vocab_size"),
        ({}, {}, 10**9, "corpus"),
    ],
)
def test_the_field_to_lower_is_where_the_memory_goes(model, train, tokens, field) -> None:
    config = GPTConfig(**{**dict(SMALL), **model})
    assert memory_of(config, tokens, **train).largest_field == field


@given(gpt_configs(), st.integers(1, 9), st.integers(0, 3), st.sampled_from([None, 3]))
def test_lowering_the_field_helps(model: GPTConfig, batch: int, accum: int, window) -> None:
    train = TrainConfig(batch_size=2**batch, grad_accum=min(2**accum, 2**batch), window=window)
    memory = training_memory(model, train, 500)
    part, _, name = memory.largest_field.partition(".")
    config = {"model": model, "train": train}[part]
    assume(getattr(config, name) > 1)
    lower = config.model_copy(update={name: getattr(config, name) // 2})
    model, train = (lower, train) if part == "model" else (model, lower)
    assert training_memory(model, train, 500).total < memory.total


def test_the_tables_have_fields_of_their_own() -> None:
    assert memory_of(BigramConfig(vocab_size=10_000)).largest_field == "model.vocab_size"
    assert memory_of(NGramConfig()).largest_field == "model.order"
    assert memory_of(NGramConfig(vocab_size=4096), 5000).largest_field == "model.vocab_size"


def test_every_preset_fits_a_small_machine() -> None:
    for preset in PRESETS.values():
        assert training_memory(preset.model, preset.train, 1_115_394).total < 6e9, preset.id
