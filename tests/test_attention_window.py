"""Attention windows: against slower ways to the same, and against the end of a text alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from model import sliding_window
from model.ablation import importance, without_heads
from model.attention import attention_maps
from model.config import GPTConfig, TrainConfig
from model.distributed import World
from model.gpt import GPT, rotations
from model.gradients import Gradients
from model.head_roles import (
    ROLES,
    badges,
    repeated_length,
    repeated_maps,
    repeated_scores,
    text_scores,
)
from model.kv_cache import PlacedCache
from model.memory import training_memory
from model.sliding_window import is_blockwise, sliding_attention
from model.trace import Trace
from tests.slow_gpt import slow_attention
from tests.small_gpts import PLAIN, TODAY, random_gpt, random_ids, read_on
from tests.test_memory import kept_for_the_backward_pass

WINDOW = 4
SLIDING = TODAY.model_copy(update={"attention_window": WINDOW})
LONG = 5 * SLIDING.block_size


@pytest.fixture(params=["one mask", "blocks"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts this short would not be cut into blocks."""
    if request.param == "blocks":
        monkeypatch.setattr(sliding_window, "MASKED_TOKENS", 0)
        monkeypatch.setattr(sliding_window, "MASKED_WINDOWS", 1)


def in_float32(config: GPTConfig) -> GPT:
    """As it is served; of a spread where scores are neither all alike nor all of one key."""
    torch.manual_seed(5)
    model = GPT(config).eval().requires_grad_(requires_grad=False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def last_logits(model: GPT, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids]))[0, -1]


# The numbers


@pytest.mark.parametrize("window", [1, 2, 5, 12])
@pytest.mark.usefixtures("either_way")
def test_maps_and_logits_are_the_slow_ones_far_beyond_the_context(window: int) -> None:
    config = SLIDING.model_copy(update={"attention_window": window, "n_layer": 2})
    model, ids = random_gpt(config), random_ids(config, LONG)
    slow = np.array([[head.weights for head in layer] for layer in slow_attention(model, ids)])
    np.testing.assert_allclose(attention_maps(model, ids).numpy(), slow, atol=2e-6)
    x = torch.tensor([ids, ids[::-1]])
    torch.testing.assert_close(model(x, Trace()), model(x), rtol=0, atol=1e-10)


def test_rows_sum_to_one_and_are_zero_outside_the_band() -> None:
    maps = attention_maps(random_gpt(SLIDING), random_ids(SLIDING, LONG))
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
    assert not maps.triu(1).any()
    assert not maps.tril(-WINDOW).any()
    assert maps.tril(1 - WINDOW)[..., WINDOW:, :].sum(-1).gt(0).all(), "the band's last is seen"


@pytest.mark.parametrize(("length", "window"), [(5, 4), (8, 4), (9, 4), (31, 7), (30, 1), (64, 63)])
@pytest.mark.usefixtures("either_way")
def test_either_way_gives_what_a_loop_over_the_queries_does(length: int, window: int) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, length, 4, dtype=torch.float64, requires_grad=True)
    rows = []
    for i in range(length):
        seen = slice(max(0, i + 1 - window), i + 1)
        scores = (k[:, :, seen] * q[:, :, i, None]).sum(-1) / 2
        rows.append((scores.softmax(-1)[..., None] * v[:, :, seen]).sum(2))
    expected, got = torch.stack(rows, 2), sliding_attention(q, k, v, window, 0.0)
    torch.testing.assert_close(got, expected)
    weights = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad((got * weights).sum(), (q, k, v)),
        torch.autograd.grad((expected * weights).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_a_window_over_all_changes_nothing() -> None:
    whole = TODAY.model_copy(update={"attention_window": TODAY.block_size})
    x = torch.tensor([random_ids(TODAY, TODAY.block_size)])
    assert torch.equal(random_gpt(whole)(x), random_gpt(TODAY)(x))


# Without end


@pytest.mark.parametrize("conv", [0, 2])
def test_nothing_beyond_the_reach_counts_and_all_within_does(conv: int) -> None:
    """A token on the edge is heard by the last one of each layer's window in turn."""
    config = SLIDING.model_copy(update={"qkv_conv": conv})
    model, ids = random_gpt(config), random_ids(config, LONG)
    reach = config.n_layer * (WINDOW - 1 + conv) + 1
    assert model.reach == max(reach, config.block_size) < LONG
    whole = last_logits(model, ids)
    for place, changes in ((LONG - reach - 1, False), (LONG - reach, True)):
        other = ids.copy()
        other[place] = (other[place] + 1) % config.vocab_size
        assert ((last_logits(model, other) - whole).abs().max() > 1e-12) == changes, place


@pytest.mark.parametrize("length", [LONG, 1000, 5000])
def test_a_text_read_whole_says_what_its_end_alone_says(length: int) -> None:
    """The independent proof: positions are all others, and what comes before is not there."""
    model, ids = in_float32(SLIDING), random_ids(SLIDING, length)
    whole = last_logits(model, ids)
    assert whole.std() > 0.1
    receptive = SLIDING.n_layer * (WINDOW - 1 + SLIDING.qkv_conv) + 1
    assert receptive == model.reach == 16
    for suffix in (receptive, receptive + 1, 2 * receptive):
        torch.testing.assert_close(last_logits(model, ids[-suffix:]), whole, rtol=0, atol=1e-5)
    assert (last_logits(model, ids[-WINDOW:]) - whole).abs().max() > 1e-3


def test_rotations_are_exact_however_far() -> None:
    """Against Python's own sine and cosine; in float32 an angle of a million is off by 0.06."""
    config = GPTConfig(n_embd=32, n_head=2, position="rotary", rope_base=1000)
    places = [0, 1, 31, 32, 10_000, 1_000_003, 123_456_789]
    got = rotations(config, torch.tensor(places))
    assert got.dtype == torch.float32
    for row, p in zip(got.tolist(), places, strict=True):
        for c, pair in enumerate(row):
            angle = p * 1000 ** (-2 * c / 16)
            assert pair == pytest.approx((math.cos(angle), math.sin(angle)), abs=1e-7)
    model = GPT(config)
    torch.testing.assert_close(model.rotation(0, 40)[:32], model.rotation(0, 32), rtol=0, atol=0)
    torch.testing.assert_close(model.rotation(33, 1)[0], model.rotation(0, 40)[33], rtol=0, atol=0)


def test_a_step_far_out_is_as_one_near() -> None:
    model, x = in_float32(SLIDING), torch.tensor([random_ids(SLIDING, LONG)])

    def steps(first: int) -> torch.Tensor:
        """Logits (LONG, V) of a text that begins at position `first`."""
        cache, logits = PlacedCache(SLIDING, 1, like=model.wte.weight), []
        for t in range(LONG):
            step = replace(cache.following(torch.tensor([t])), start=torch.tensor([first + t]))
            logits.append(model(x[:, t : t + 1], cache=step)[0])
        return torch.cat(logits)

    near, far = steps(0), steps(1_000_000)
    assert not torch.equal(near, far), "other rotations were used"
    torch.testing.assert_close(near, far, rtol=0, atol=1e-5)


@pytest.mark.parametrize("beginning", [1, 3, 4, 5, 6, 12, 13, 31])
def test_a_cache_of_one_window_goes_on_as_if_all_were_read_anew(beginning: int) -> None:
    model, x = random_gpt(SLIDING), torch.tensor([random_ids(SLIDING, LONG)] * 2)
    torch.testing.assert_close(read_on(model, x, beginning), model(x), rtol=0, atol=1e-7)
    cache = PlacedCache(SLIDING, 2, like=model.wte.weight)
    assert cache.keys.shape[3] == cache.values.shape[3] == WINDOW


def test_only_a_model_with_a_window_is_endless() -> None:
    assert random_gpt(SLIDING).endless
    one_layer = SLIDING.model_copy(update={"n_layer": 1})
    assert random_gpt(one_layer).reach == 12, "as much as is trained on, if layers reach less far"
    for config in (TODAY, PLAIN):
        model = random_gpt(config)
        assert not model.endless
        assert model.reach == model.block_size == 12
        with pytest.raises(ValueError, match="context of 12"):
            model(torch.zeros(1, 13, dtype=torch.long))


# What is refused


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"attention_window": 8}, "rotary"),
        ({"attention_window": 33, "position": "rotary"}, "block_size (32)"),
    ],
)
def test_a_window_that_cannot_be_is_refused_by_its_name(fields: dict, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        GPTConfig(**fields)
    (error,) = refused.value.errors()
    assert error["ctx"]["field"] == "attention_window"
    assert says in error["msg"]


@pytest.mark.parametrize("window", [0, -1, 8193, 1.5, "all"])
def test_a_window_is_a_number_within_bounds(window: object) -> None:
    with pytest.raises(ValidationError, match="attention_window"):
        GPTConfig(position="rotary", block_size=8192, attention_window=window)


# Training


def test_a_few_steps_teach_it_something() -> None:
    """And what it learned it knows at positions that it was never trained at."""
    torch.manual_seed(0)
    config = GPTConfig(
        vocab_size=5, block_size=24, n_layer=2, n_head=2, n_embd=16, position="rotary",
        norm="rmsnorm", qk_norm=True, attention_window=3, dropout=0.1,
    )  # fmt: skip
    model = GPT(config).train()
    ids = torch.tensor([[0, 1, 2, 3, 4] * 11])
    gradients = Gradients(model, TrainConfig(), torch.device("cpu"), World())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for step in range(30):
        at = step % 5
        losses.append(float(gradients(ids[:, at : at + 24], ids[:, at + 1 : at + 25])))
        optimizer.step()
    assert losses[-1] < 0.3 < losses[0]
    with torch.no_grad():
        logits = model.eval()(ids)
    assert F.cross_entropy(logits[0, 24:-1], ids[0, 25:]) < 0.3


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize(("block_size", "window"), [(128, 8), (128, 127), (512, 64), (600, 16)])
def test_the_memory_of_training_is_what_autograd_keeps(
    block_size: int, window: int, dropout: float, precision: str
) -> None:
    config = GPTConfig(
        vocab_size=50, n_layer=2, n_embd=64, block_size=block_size, position="rotary",
        qk_norm=True, dropout=dropout, attention_window=window,
    )  # fmt: skip
    train = TrainConfig(batch_size=2, precision=precision)
    estimate = training_memory(config, train, 10_000).activations
    assert estimate == pytest.approx(kept_for_the_backward_pass(config, train), rel=0.15)


def test_a_long_text_takes_no_memory_for_all_pairs() -> None:
    assert not is_blockwise(256, 8)
    assert is_blockwise(257, 8)
    assert not is_blockwise(4096, 1024)
    largest: list[int] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest.append(result.numel())
            return result

    with Watch(), torch.inference_mode():
        random_gpt(SLIDING)(torch.zeros(1, 4000, dtype=torch.long))
    assert max(largest) < 4000 * 100


# What heads do


def even(tokens: int, window: int) -> torch.Tensor:
    """A map whose queries look at all that they see alike, (1, 1, tokens, tokens)."""
    seen = torch.ones(tokens, tokens).tril().triu(1 - window)
    return (seen / seen.sum(-1, keepdim=True))[None, None]


def slow_scores(rows: list[list[float]], window: int) -> dict[str, tuple[float, float]]:
    """Plain and corrected scores by their definitions, with i - window < key <= i in sight."""
    T = len(rows)

    def mean(values: list[float]) -> float:
        return sum(values) / max(1, len(values))

    def bits(shares: list[float]) -> float:
        return -sum(p * math.log2(p) for p in shares if p > 0)

    def over_most(entropy: float, count: int) -> float:
        return entropy / math.log2(count) if count > 1 else 0.0

    def sight(i: int) -> list[int]:
        return list(range(max(0, i + 1 - window), i + 1))

    plain = {
        "first": mean([rows[i][0] for i in range(1, T) if i < window]),
        "diffuse": mean([over_most(bits(rows[i]), len(sight(i))) for i in range(1, T)]),
    }
    left = sum(1 - rows[i][0] for i in range(2, T))
    rest = 0.0
    for i in range(2, T):
        others = [key for key in sight(i) if key > 0]
        share = 1 - rows[i][0]
        rest += share * over_most(bits([rows[i][key] / share for key in others]), len(others))
    return {"first": (plain["first"], 0.0), "diffuse": (plain["diffuse"], rest / left)}


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_scores_go_by_what_is_in_sight(window: int) -> None:
    torch.manual_seed(1)
    maps = (torch.rand(1, 1, 10, 10).double() + 0.1) * (even(10, window) > 0)
    maps = maps / maps.sum(-1, keepdim=True)
    scores = text_scores(maps, window)
    for name, (plain, corrected) in slow_scores(maps[0, 0].tolist(), window).items():
        assert float(scores[name].raw) == pytest.approx(plain, abs=1e-6), name
        if name != "first":
            assert float(scores[name].corrected) == pytest.approx(corrected, abs=1e-6), name
    assert all(score.telling.isfinite().all() for score in scores.values())


@pytest.mark.parametrize("window", [2, 3, 4, 9])
def test_looking_everywhere_alike_is_no_role_but_diffuse(window: int) -> None:
    """In a window of three, a third of the attention to the previous token says nothing."""
    length = repeated_length(64, window)
    scores = text_scores(even(40, window), window)
    scores |= repeated_scores(even(max(length, 8), window), window)
    assert badges(scores, 0, 0) == ["diffuse"]
    assert float(scores["diffuse"].raw) == pytest.approx(1)


@pytest.mark.parametrize(
    ("window", "length"), [(1, 0), (2, 0), (3, 4), (9, 16), (17, 32), (32, 32)]
)
def test_repeated_tokens_repeat_within_the_window(window: int, length: int) -> None:
    """A query must see its token's earlier occurrence, half the length before."""
    config = SLIDING.model_copy(update={"attention_window": window, "block_size": 32})
    maps = repeated_maps(random_gpt(config))
    assert maps.shape[-1] == repeated_length(32, window) == length
    for score in repeated_scores(maps, window).values():
        assert score.telling.isfinite().all()
        assert bool((score.raw > 0).all()) == (length > 0)


def test_every_role_of_a_real_model_can_be_scored_beyond_its_context() -> None:
    model = random_gpt(SLIDING)
    scores = text_scores(attention_maps(model, random_ids(SLIDING, LONG)), WINDOW)
    scores |= repeated_scores(repeated_maps(model), WINDOW)
    assert set(scores) == {role.name for role in ROLES}
    assert all(score.telling.isfinite().all() for score in scores.values())


def test_heads_can_be_switched_off_beyond_the_context() -> None:
    model, ids = random_gpt(SLIDING), random_ids(SLIDING, 40)
    x = torch.tensor([ids])

    def loss_of(it: GPT) -> float:
        return float(F.cross_entropy(it(x)[0, :-1], x[0, 1:]))

    loss, changes = importance(model, ids)
    assert loss == pytest.approx(loss_of(model), abs=1e-10)
    for layer, head in ((0, 0), (2, 1)):
        expected = loss_of(without_heads(model, [(layer, head)])) - loss
        assert float(changes[layer, head]) == pytest.approx(expected, abs=1e-10)


def test_rollout_reaches_one_window_further_with_each_layer() -> None:
    maps = attention_maps(random_gpt(SLIDING), random_ids(SLIDING, LONG), kind="rollout")
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
    for layer, of_layer in enumerate(maps):
        reach = (layer + 1) * (WINDOW - 1)
        assert not of_layer.tril(-reach - 1).any()
        assert of_layer.diagonal(-reach, -2, -1).all()
