"""Models without some heads, against models whose weights were edited by hand."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model import ablation
from model.ablation import head_means, importance, token_losses, without_heads
from model.config import GPTConfig
from model.decoding import generate
from model.gpt import GPT
from model.sampling import Sampling
from model.trace import Trace
from tests.small_gpts import PLAIN, every_design, random_gpt, random_ids, read_on

CLOSE = {"rtol": 0, "atol": 1e-10}
HEADS = [(0, 1), (2, 0), (2, 1)]


def edited(model: GPT, heads: list[tuple[int, int]], fill: Tensor | None = None) -> GPT:
    """The same by editing weights.

    Columns of the output projection become zero; its bias takes in what they make of `fill`.
    """
    other = copy.deepcopy(model)
    size = model.config.n_embd // model.config.n_head
    for layer, head in heads:
        proj = other.blocks[layer].attn.proj
        columns = proj.weight[:, head * size : (head + 1) * size]
        if fill is not None:
            proj.bias += columns @ fill[layer, head]
        columns.zero_()
    return other


def mixed_values(model: GPT, ids: list[int]) -> Tensor:
    """What goes into each output projection, in the fused pass: (L, T, H, D)."""
    seen: list[Tensor] = []
    hooks = [
        block.attn.proj.register_forward_pre_hook(lambda _, args: seen.append(args[0][0]))
        for block in model.blocks
    ]
    model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return torch.stack(seen).unflatten(-1, (model.config.n_head, -1))


@every_design
def test_a_head_at_zero_is_one_whose_columns_are_zero(config: GPTConfig) -> None:
    model, x = random_gpt(config), torch.tensor([random_ids(config, 12)] * 2)
    ablated, expected = without_heads(model, HEADS), edited(model, HEADS)(x)
    assert not torch.allclose(model(x), expected, atol=0.01)
    torch.testing.assert_close(ablated(x), expected, **CLOSE)
    torch.testing.assert_close(ablated(x, Trace()), expected, **CLOSE)
    torch.testing.assert_close(read_on(ablated, x, 4), expected, **CLOSE)


def test_without_all_heads_a_layer_adds_its_bias_alone() -> None:
    config = PLAIN.model_copy(update={"n_layer": 1})
    model, ids = random_gpt(config), random_ids(config, 7)
    block = model.blocks[0]
    stream = model.wte.weight[ids] + model.wpe.weight[:7] + block.attn.proj.bias
    stream = stream + block.mlp(block.norm_2(stream))
    expected = model.lm_head(model.norm(stream))
    got = without_heads(model, [(0, 0), (0, 1)])(torch.tensor([ids]))
    torch.testing.assert_close(got[0], expected, **CLOSE)


@every_design
def test_the_model_itself_is_left_alone(config: GPTConfig) -> None:
    model, x = random_gpt(config), torch.tensor([random_ids(config, 12)])
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = model(x)
    ablated = without_heads(model, HEADS, head_means(model, x[0].tolist()))
    list(generate(ablated, [1, 2], 20, Sampling(seed=0)))
    assert torch.equal(model(x), before)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name])
    mine, its = model.state_dict(), ablated.state_dict()
    own = {
        name for name in its if name not in mine or its[name].data_ptr() != mine[name].data_ptr()
    }
    changed = {f"blocks.{layer}.attn.proj" for layer, _ in HEADS}
    assert {name.rpartition(".")[0] for name in own} == changed, "all other weights are shared"


def test_an_ablated_model_can_lose_more_heads() -> None:
    model, x = random_gpt(PLAIN), torch.tensor([random_ids(PLAIN, 9)])
    twice = without_heads(without_heads(model, HEADS[:1]), HEADS[1:])
    torch.testing.assert_close(twice(x), without_heads(model, HEADS)(x), **CLOSE)


@pytest.mark.parametrize("place", [(3, 0), (0, 2)])
def test_a_head_that_is_not_there(place: tuple[int, int]) -> None:
    with pytest.raises(IndexError):
        without_heads(random_gpt(PLAIN), [place])


@every_design
def test_means_are_of_what_heads_put_out(config: GPTConfig) -> None:
    model, ids = random_gpt(config), random_ids(config, 10)
    expected = mixed_values(model, ids).mean(1)
    torch.testing.assert_close(head_means(model, ids), expected, **CLOSE)


def test_a_filled_head_is_a_bias() -> None:
    model, ids = random_gpt(PLAIN), random_ids(PLAIN, 12)
    fill, x = head_means(model, ids), torch.tensor([ids])
    expected = edited(model, HEADS, fill)(x)
    torch.testing.assert_close(without_heads(model, HEADS, fill)(x), expected, **CLOSE)


def test_the_mean_of_a_head_that_says_one_thing_only_changes_nothing() -> None:
    """Without weights for its values, a head puts out their bias whatever it looks at."""
    config = PLAIN.model_copy(update={"qkv_bias": True})
    model, ids = random_gpt(config), random_ids(config, 12)
    torch.nn.init.zeros_(model.blocks[1].attn.qkv.weight[2 * 8 : 2 * 8 + 4])  # v of head 0
    fill, x = head_means(model, ids), torch.tensor([ids])
    torch.testing.assert_close(without_heads(model, [(1, 0)], fill)(x), model(x), **CLOSE)
    assert not torch.allclose(without_heads(model, [(1, 0)])(x), model(x), atol=0.01)
    _, changes = importance(model, ids, fill)
    assert abs(changes[1, 0]) < 1e-10 < changes.abs().max()


@every_design
@pytest.mark.parametrize("fill", ["zero", "mean"])
@pytest.mark.parametrize("at_once", [1, 24, 10_000])
def test_importance_is_one_ablation_after_the_other(
    config: GPTConfig, fill: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, ids = random_gpt(config), random_ids(config, 12)
    means = head_means(model, ids) if fill == "mean" else None
    monkeypatch.setattr(ablation, "tokens_at_once", lambda *_: at_once)
    loss, changes = importance(model, ids, means)

    def loss_of(it: GPT) -> float:
        return float(F.cross_entropy(it(torch.tensor([ids[:-1]]))[0], torch.tensor(ids[1:])))

    assert loss == pytest.approx(loss_of(model), abs=1e-10)
    for layer in range(config.n_layer):
        for head in range(config.n_head):
            expected = loss_of(without_heads(model, [(layer, head)], means)) - loss
            assert float(changes[layer, head]) == pytest.approx(expected, abs=1e-10)
    assert changes.abs().min() > 1e-6, "every head of a random model does something"


def test_only_the_head_that_is_heard_is_important() -> None:
    model, ids = random_gpt(PLAIN), random_ids(PLAIN, 12)
    others = [(layer, head) for layer in range(3) for head in range(2) if (layer, head) != (1, 1)]
    _, changes = importance(edited(model, others), ids)
    assert abs(changes[1, 1]) > 0.001
    assert sum(float(changes[place].abs()) for place in others) < 1e-10


def test_losses_of_each_token() -> None:
    model, ids = random_gpt(PLAIN), random_ids(PLAIN, 6)
    probabilities = model(torch.tensor([ids]))[0].softmax(-1)
    expected = [-float(probabilities[t, ids[t + 1]].log()) for t in range(5)]
    assert token_losses(model, ids).tolist() == pytest.approx(expected)
    assert token_losses(model, ids[:1]).tolist() == []
