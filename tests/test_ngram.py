"""The count-based model against counting in plain dictionaries."""

import math
from collections import Counter

import pytest
import torch

from model.config import NGramConfig
from model.ngram import NGram

V = 5


def plain_probability(text: list[int], context: list[int], token: int, order: int) -> float:
    """Witten-Bell, by recursion over ever shorter contexts."""
    if order == 0:
        return 1 / V
    lower = plain_probability(text, context[1:], token, order - 1)
    if len(context) < order - 1:
        return plain_probability(text, context, token, order - 1)
    wanted = tuple(context[len(context) - (order - 1) :])
    grams = Counter(tuple(text[i : i + order]) for i in range(len(text) - order + 1))
    after = {gram[-1]: n for gram, n in grams.items() if gram[:-1] == wanted}
    total, kinds = sum(after.values()), len(after)
    lower = plain_probability(text, context[len(context) - max(0, order - 2) :], token, order - 1)
    if total == 0:
        return lower
    return (after.get(token, 0) + kinds * lower) / (total + kinds)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_equal_plain_counting(order: int) -> None:
    text = torch.randint(0, V, (300,), generator=torch.Generator().manual_seed(order)).tolist()
    model = NGram(NGramConfig(vocab_size=V, order=order))
    model.count(torch.tensor(text))
    ids = [0, 1, 4, 4, 2, 3, 0]
    got = model(torch.tensor([ids]))[0].exp()
    for place in range(len(ids)):
        context = ids[max(0, place - order + 2) : place + 1]
        for token in range(V):
            expected = plain_probability(text, context if order > 1 else [], token, order)
            assert math.isclose(got[place, token], expected, rel_tol=1e-5), (place, token)


def test_probabilities_sum_to_one_and_none_is_zero() -> None:
    model = NGram(NGramConfig(vocab_size=V, order=4))
    model.count(torch.tensor([0, 1, 2, 0, 1, 2, 0]))
    p = model(torch.tensor([[4, 4, 0, 1]])).exp()
    torch.testing.assert_close(p.sum(-1), torch.ones(1, 4))
    assert (p > 0).all()


def test_a_lower_order_of_the_same_counts_is_that_model() -> None:
    text = torch.randint(0, V, (200,), generator=torch.Generator().manual_seed(0))
    large, small = (NGram(NGramConfig(vocab_size=V, order=n)) for n in (5, 2))
    large.count(text)
    small.count(text)
    ids = torch.tensor([[1, 2, 3, 4, 0]])
    torch.testing.assert_close(large(ids, order=2), small(ids))
