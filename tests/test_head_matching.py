"""Divergence and similarity of heads against closed forms and loops; matchings that are known."""

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from model.attention import attention_maps
from model.config import GPTConfig
from model.gpt import GPT
from model.head_matching import Match, divergence, pair_heads, similarity

T = 9


def random_maps(layers: int, heads: int, seed: int) -> Tensor:
    scores = 2 * torch.randn(layers, heads, T, T, generator=torch.Generator().manual_seed(seed))
    return scores.masked_fill(torch.ones(T, T).triu(1) > 0, -torch.inf).softmax(-1)


def test_divergence_of_rows_that_are_known() -> None:
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    half = torch.tensor([[0.5, 0.5]])
    assert divergence(one, one) == divergence(half, half) == 0
    assert divergence(one, other) == pytest.approx(1)
    entropy_of_quarters = 2 - 0.75 * math.log2(3)
    expected = entropy_of_quarters - 0.5
    assert divergence(one, half) == divergence(half, one) == pytest.approx(expected, abs=1e-6)
    assert divergence(torch.cat((one, one)), torch.cat((one, other))) == pytest.approx(0.5)
    assert divergence(torch.cat((one, 0 * one)), torch.cat((one, other))) == 0, "an empty row"
    assert divergence(0 * one, other) is None
    assert (similarity(one, one), similarity(one, other)) == (1, 0)
    assert similarity(one, half) == pytest.approx(math.sqrt(0.5))
    assert similarity(one, 0 * one) == 0


def slow(p: list[list[float]], q: list[list[float]], without_first: bool) -> tuple[float, float]:
    """Divergence and cosine, number by number."""
    first = int(without_first)
    bits, products, squares_p, squares_q = [], 0.0, 0.0, 0.0
    for i in range(1 + first, len(p)):
        a = [value / sum(p[i][first:]) for value in p[i][first : i + 1]]
        b = [value / sum(q[i][first:]) for value in q[i][first : i + 1]]
        both = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
        kl_a = sum(x * math.log2(x / m) for x, m in zip(a, both, strict=True))
        kl_b = sum(y * math.log2(y / m) for y, m in zip(b, both, strict=True))
        bits.append((kl_a + kl_b) / 2)
        products += sum(x * y for x, y in zip(a, b, strict=True))
        squares_p += sum(x * x for x in a)
        squares_q += sum(y * y for y in b)
    return sum(bits) / len(bits), products / math.sqrt(squares_p * squares_q)


@pytest.mark.parametrize("without_first", [False, True])
def test_pairs_are_those_of_plain_loops(without_first: bool) -> None:
    a, b = random_maps(2, 3, seed=0), random_maps(2, 3, seed=1)
    pairs = pair_heads(a, b, "place", without_first)
    places = [(layer, head) for layer in range(2) for head in range(3)]
    assert [(pair.a, pair.b) for pair in pairs] == list(zip(places, places, strict=True))
    for pair in pairs:
        expected = slow(a[pair.a].tolist(), b[pair.a].tolist(), without_first)
        assert (pair.divergence, pair.similarity) == pytest.approx(expected, abs=1e-6)


def test_without_the_first_token_only_the_rest_counts() -> None:
    """Two heads with sinks of different strength that look at the same tokens otherwise."""
    a = random_maps(1, 1, seed=0)
    sink = torch.zeros(T, T)
    sink[:, 0] = 1
    b = 0.2 * a + 0.8 * sink
    (pair,) = pair_heads(a, b, "place", without_first=True)
    assert pair.divergence == pytest.approx(0, abs=1e-6)
    assert pair.similarity == pytest.approx(1, abs=1e-6)
    (pair,) = pair_heads(a, b)
    assert pair.divergence is not None
    assert pair.divergence > 0.1
    (pair,) = pair_heads(a, sink[None, None], "place", without_first=True)
    assert (pair.divergence, pair.similarity) == (None, 0), "of a sink nothing is left"


@pytest.mark.parametrize("tokens", [1, 2])
def test_texts_too_short_to_differ(tokens: int) -> None:
    a, b = (random_maps(1, 2, seed)[..., :tokens, :tokens] for seed in (0, 1))
    for pair in pair_heads(a, b, "layer", without_first=True):
        assert (pair.divergence, pair.similarity) == (None, 0)


# Matching


def permuted(model: GPT, orders: list[list[int]]) -> GPT:
    """The same function, with the heads of each layer in another order: `order[new] = old`."""
    other = GPT(model.config).eval()
    other.load_state_dict(model.state_dict())
    heads = model.config.n_head
    with torch.no_grad():
        for block, order in zip(other.blocks, orders, strict=True):
            attention = block.attn
            qkv = attention.qkv.weight.unflatten(0, (3, heads, -1))[:, order].flatten(0, 2)
            proj = attention.proj.weight.unflatten(1, (heads, -1))[:, order].flatten(1, 2)
            attention.qkv.weight.copy_(qkv)
            attention.proj.weight.copy_(proj)
    return other


@pytest.mark.parametrize("without_first", [False, True])
@pytest.mark.parametrize("match", ["layer", "anywhere"])
def test_heads_in_another_order_are_found_again(match: Match, without_first: bool) -> None:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=30, block_size=16, n_layer=2, n_head=4, n_embd=32)
    model = GPT(config).eval()
    for block in model.blocks:
        block.attn.qkv.weight.data *= 4  # untrained heads all look everywhere alike
    orders = [[2, 0, 3, 1], [1, 3, 2, 0]]
    other = permuted(model, orders)
    ids = torch.randint(30, (16,)).tolist()
    torch.testing.assert_close(other(torch.tensor([ids])), model(torch.tensor([ids])))
    pairs = pair_heads(attention_maps(model, ids), attention_maps(other, ids), match, without_first)
    for pair in pairs:
        layer, old = pair.a
        assert pair.b == (layer, orders[layer].index(old))
        assert pair.similarity == pytest.approx(1, abs=1e-5)
        assert pair.divergence == pytest.approx(0, abs=1e-5)
    by_place = pair_heads(attention_maps(model, ids), attention_maps(other, ids))
    moved = [p for p in by_place if orders[p.a[0]][p.a[1]] != p.a[1]]
    assert min(p.divergence for p in moved if p.divergence is not None) > 0.01


def test_the_matching_is_the_best_of_all() -> None:
    """Of all ways to pair three heads with four, none has a larger sum."""
    a, b = random_maps(1, 3, seed=0), random_maps(1, 4, seed=1)
    pairs = pair_heads(a, b, "layer")
    values = [[similarity(p[1:], q[1:]) for q in b[0]] for p in a[0]]
    best = max(
        permutations(range(4), 3), key=lambda to: sum(values[i][j] for i, j in enumerate(to))
    )
    assert [pair.b for pair in pairs] == [(0, j) for j in best]


def test_heads_may_be_left_over() -> None:
    a, b = random_maps(3, 2, seed=0), random_maps(2, 2, seed=1)
    b[0, 1], b[1, 0] = a[2, 1], a[0, 0]
    pairs = {pair.a: pair for pair in pair_heads(a, b, "anywhere")}
    assert list(pairs) == [(layer, head) for layer in range(3) for head in range(2)]
    assert (pairs[2, 1].b, pairs[0, 0].b) == ((0, 1), (1, 0))
    left = [pair for pair in pairs.values() if pair.b is None]
    assert len(left) == 2
    assert all((pair.divergence, pair.similarity) == (None, None) for pair in left)
    back = pair_heads(b, a, "anywhere")
    assert {(pair.b, pair.a) for pair in back} == {(p.a, p.b) for p in pairs.values() if p.b}


@pytest.mark.parametrize(
    ("shape", "match"), [((3, 2), "place"), ((2, 3), "place"), ((3, 2), "layer")]
)
def test_models_that_do_not_fit(shape: tuple[int, int], match: Match) -> None:
    with pytest.raises(ValueError, match="same layers"):
        pair_heads(random_maps(2, 2, seed=0), random_maps(*shape, seed=0), match)
    with pytest.raises(ValueError, match="9 and 8 tokens"):
        pair_heads(random_maps(2, 2, seed=0), random_maps(2, 2, seed=0)[..., :8, :8], match)
