"""The transformer against arithmetic by hand and against itself written slowly."""

import math

import pytest
import torch
import torch.nn.functional as F

from model.attention import NoAttention, attention_maps
from model.bigram import Bigram
from model.config import BigramConfig, GPTConfig
from model.gpt import GPT, CausalConv, attention_weights
from model.trace import Trace

TODAY = GPTConfig(
    vocab_size=11,
    block_size=12,
    n_layer=2,
    n_head=2,
    n_embd=16,
    position="rotary",
    norm="rmsnorm",
    qk_norm=True,
    qk_gain=True,
    qkv_conv=3,
    activation="relu2",
    bias=False,
    head_bias=False,
)
EXERCISE = GPTConfig(vocab_size=11, block_size=12, n_layer=2, n_head=2, n_embd=16)
CONFIGS = pytest.mark.parametrize(
    "config",
    [
        EXERCISE,
        TODAY,
        TODAY.model_copy(update={"activation": "swiglu", "tie_weights": True}),
        EXERCISE.model_copy(update={"activation": "gelu", "init": "gpt2", "qkv_bias": True}),
        TODAY.model_copy(update={"attention_window": 4}),
    ],
    ids=["exercise", "today", "swiglu-tied", "gpt2", "window"],
)


def make(config: GPTConfig, seed: int = 0) -> GPT:
    torch.manual_seed(seed)
    model = GPT(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith(("attn.conv.weight", "attn.gain")):  # else they would do nothing yet
            torch.nn.init.normal_(parameter)
    return model


def ids(config: GPTConfig, length: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, config.vocab_size, (3, length), generator=generator)


def test_the_baseline_has_the_exercises_number_of_parameters() -> None:
    assert GPT(GPTConfig()).size == 209_729


def test_two_tokens_by_hand() -> None:
    """Scores 1/sqrt(2) * [[1, .], [0, 2]]: the second row is softmax(0, sqrt(2))."""
    q = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]])
    k = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    second = math.exp(math.sqrt(2)) / (1 + math.exp(math.sqrt(2)))
    expected = torch.tensor([[[[1.0, 0.0], [1 - second, second]]]])
    torch.testing.assert_close(attention_weights(q, k), expected)


@CONFIGS
def test_a_later_token_changes_nothing_before_it(config: GPTConfig) -> None:
    model, x = make(config), ids(config, 10)
    changed = x.clone()
    changed[:, 6] = (changed[:, 6] + 1) % config.vocab_size
    before, after = model(x), model(changed)
    torch.testing.assert_close(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


@CONFIGS
def test_the_maps_are_those_of_the_forward_pass(config: GPTConfig) -> None:
    model, x = make(config), ids(config, 12)
    trace = Trace()
    torch.testing.assert_close(model(x, trace), model(x), rtol=1e-4, atol=1e-5)
    attended: list[torch.Tensor] = []
    hooks = [
        block.attn.proj.register_forward_pre_hook(lambda _, args: attended.append(args[0]))
        for block in model.blocks
    ]
    values: list[torch.Tensor] = []
    hooks += [
        (block.attn.conv or block.attn.qkv).register_forward_hook(
            lambda *args: values.append(args[2])
        )
        for block in model.blocks
    ]
    model(x)  # the fused path, without a trace
    for hook in hooks:
        hook.remove()
    for layer, qkv, output in zip(trace.attention, values, attended, strict=True):
        v = qkv.chunk(3, dim=-1)[2].unflatten(-1, (config.n_head, -1)).transpose(1, 2)
        mixed = (layer.weights @ v).transpose(1, 2).flatten(2)
        torch.testing.assert_close(mixed, output, rtol=1e-4, atol=1e-5)


@CONFIGS
def test_maps_sum_to_one_and_see_no_future(config: GPTConfig) -> None:
    maps = attention_maps(make(config), ids(config, 9)[0].tolist())
    assert maps.shape == (config.n_layer, config.n_head, 9, 9)
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
    assert (maps.triu(1) == 0).all()


def test_chosen_layers_and_heads_come_in_the_order_asked_for() -> None:
    model, x = make(EXERCISE), [1, 2, 3]
    everything = attention_maps(model, x)
    assert torch.equal(attention_maps(model, x, layers=[1], heads=[1, 0]), everything[1:2, [1, 0]])


def test_a_model_without_heads_says_so() -> None:
    with pytest.raises(NoAttention, match="bigram"):
        attention_maps(Bigram(BigramConfig(vocab_size=4)), [1, 2])


@pytest.mark.parametrize(("size", "length"), [(1, 6), (3, 6), (4, 2)])
def test_the_convolution_is_torchs_depthwise_one(size: int, length: int) -> None:
    torch.manual_seed(0)
    conv, x = CausalConv(5, size), torch.randn(2, length, 5)
    torch.testing.assert_close(conv(x, None), x)  # before training
    torch.nn.init.normal_(conv.weight)
    kernel = torch.cat((conv.weight.flip(0), torch.ones(1, 5))).T[:, None]  # (5, 1, size + 1)
    padded = F.pad(x.transpose(1, 2), (size, 0))
    expected = F.conv1d(padded, kernel, groups=5).transpose(1, 2)
    torch.testing.assert_close(conv(x, None), expected)


def test_the_gain_sharpens_a_head_whose_scores_are_bounded() -> None:
    model, x = make(TODAY), ids(TODAY, 9)[0].tolist()
    sharpest = {}
    for gain in (1.0, 8.0):
        for block in model.blocks:
            torch.nn.init.constant_(block.attn.gain, gain)
        sharpest[gain] = attention_maps(model, x)[0, :, -1].max().item()
    # Normalised q and k of 8 channels: no score leaves -sqrt(8) to sqrt(8).
    assert sharpest[1.0] <= 1 / (1 + 8 * math.exp(-2 * math.sqrt(8))) and sharpest[8.0] > 0.9


def test_rotary_attention_depends_on_distances_alone() -> None:
    """Inside one layer, the same two tokens further along get the same score difference."""
    config = TODAY.model_copy(update={"n_layer": 1, "qkv_conv": 0})
    model = make(config)
    here = attention_maps(model, [3, 5, 3, 5])[0]
    row = attention_maps(model, [5, 3, 5, 3, 5])[0]
    ratio_here = here[:, 3, 1:] / here[:, 3, 1:2]
    ratio_later = row[:, 4, 2:] / row[:, 4, 2:3]
    torch.testing.assert_close(ratio_here, ratio_later, rtol=1e-4, atol=1e-6)


def test_zero_initialised_blocks_do_nothing_at_first() -> None:
    config = TODAY.model_copy(update={"zero_init": True})
    model, x = make(config), ids(TODAY, 5)
    seen: list[torch.Tensor] = []
    model.norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert (model(x) == 0).all()
    torch.testing.assert_close(seen[0], model.wte(x))


def test_more_tokens_than_the_context_are_refused() -> None:
    with pytest.raises(ValueError, match="context of 12"):
        make(EXERCISE)(torch.zeros(1, 13, dtype=torch.long))


def test_one_block_written_slowly() -> None:
    """The exercise's block, head by head and position by position."""
    config = EXERCISE.model_copy(update={"n_layer": 1})
    model, x = make(config), ids(config, 6)[:1]
    block, D = model.blocks[0], config.n_embd // config.n_head
    stream = model.wte(x)[0] + model.wpe.weight[:6]
    q, k, v = F.linear(block.norm_1(stream), block.attn.qkv.weight).chunk(3, dim=-1)
    rows = []
    for t in range(6):
        heads = []
        for h in range(config.n_head):
            part = slice(h * D, (h + 1) * D)
            scores = torch.stack([q[t, part] @ k[s, part] / math.sqrt(D) for s in range(t + 1)])
            weights = scores.exp() / scores.exp().sum()
            heads.append(sum(weights[s] * v[s, part] for s in range(t + 1)))
        rows.append(torch.cat(heads))
    stream = stream + block.attn.proj(torch.stack(rows))
    stream = stream + block.mlp.proj(torch.relu(block.mlp.fc(block.norm_2(stream))))
    expected = model.lm_head(model.norm(stream))
    torch.testing.assert_close(model(x)[0], expected, rtol=1e-4, atol=1e-5)
