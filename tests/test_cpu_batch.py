"""Sequences that are written together on the CPU; no text depends on the others."""

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batches import batch_of
from model.config import GPTConfig
from model.cpu_batch import CpuBatch
from model.decoding import generate
from model.gpt import GPT
from model.sampling import Sampling
from model.sequence import PastContext, Sequence, Token
from tests.slow_decoding import written, written_in_turns
from tests.small_gpts import DESIGNS, every_design, random_gpt

PROMPTS = [[1], [2, 3, 4], [*range(10), 3, 1], [*range(11)] * 3, [5, 5]]


def sequences(seeds: int = 0) -> list[Sequence]:
    kinds: tuple[PastContext, ...] = get_args(PastContext)
    return [
        Sequence(prompt, Sampling(temperature=0.9, seed=seeds + i), i % 3, kinds[i % 2])
        for i, prompt in enumerate(PROMPTS)
    ]


def alone(model: GPT, sequence: Sequence, steps: int) -> list[Token]:
    batch = CpuBatch(model)
    batch.join(sequence)
    return batch.advance(steps)[0]


@every_design
def test_each_is_to_the_last_bit_what_it_is_alone(config: GPTConfig) -> None:
    model = random_gpt(config)
    batch, together = CpuBatch(model), sequences()
    for sequence in together:
        batch.join(sequence)
    found = batch.advance(30)
    assert batch.sequences == together
    for sequence, tokens in zip(sequences(), found, strict=True):
        assert tokens == alone(model, sequence, 30)


@every_design
def test_joining_leaving_and_coming_back_change_nothing(config: GPTConfig) -> None:
    """A sequence that comes back is read at once, where before it was read id by id."""
    model = random_gpt(config)
    batch, others = CpuBatch(model), sequences()
    found = written_in_turns(batch, others)
    assert min(map(len, found.values())) > 5
    for sequence, tokens in zip(sequences(), found.values(), strict=True):
        assert tokens == alone(model, sequence, len(tokens))


@every_design
@pytest.mark.parametrize("past_context", get_args(PastContext))
def test_the_text_is_that_of_the_slow_way(config: GPTConfig, past_context: PastContext) -> None:
    model, sampling = random_gpt(config), Sampling(temperature=0.8, seed=4)
    for prompt in PROMPTS:
        expected, logprobs = written(model, prompt, 30, sampling, past_context == "jump")
        tokens = list(generate(model, prompt, 30, sampling, past_context=past_context))
        assert [token.id for token in tokens] == expected
        assert [token.logprob for token in tokens] == pytest.approx(logprobs, abs=1e-3)


@settings(max_examples=150)
@given(
    st.sampled_from([0, 1e-35, 0.2, 1, 3]),
    st.sampled_from([None, 1, 2, 5, 11, 50]),
    st.sampled_from([None, 0.1, 0.5, 0.9, 1]),
    st.sampled_from([None, 0, 0.05, 0.4, 1]),
    st.sampled_from([0.5, 1, 1.7]),
    st.integers(0, 5),
)
def test_every_way_to_draw_is_that_of_the_slow_way(
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    penalty: float,
    seed: int,
) -> None:
    sampling = Sampling(temperature, top_k, top_p, min_p, penalty, seed)
    expected, _ = written(MODEL, [1, 2, 3], 6, sampling)
    assert [token.id for token in generate(MODEL, [1, 2, 3], 6, sampling)] == expected


MODEL = random_gpt(DESIGNS["plain"])


def test_the_likeliest_are_those_of_the_logits() -> None:
    (token,) = generate(MODEL, [1, 2], 1, Sampling(seed=0), alternatives=20)
    with torch.no_grad():
        logprobs = MODEL(torch.tensor([[1, 2]]))[0, -1].log_softmax(-1)
    best = logprobs.topk(11)
    assert [id for id, _ in token.top] == best.indices.tolist()
    assert [p for _, p in token.top] == pytest.approx(best.values.tolist(), abs=1e-4)
    assert token.logprob == dict(token.top)[token.id]


def test_more_alternatives_than_there_is_room_for_are_refused_and_take_no_place() -> None:
    batch, refused = CpuBatch(MODEL), Sequence([1], alternatives=21)
    with pytest.raises(ValueError, match="at most 20"):
        batch.join(refused)
    assert batch.sequences == []
    batch.join(Sequence([1], Sampling(seed=0)))
    assert batch.advance(5) == [alone(MODEL, Sequence([1], Sampling(seed=0)), 5)]
    assert refused.ids == [1]
    assert batch._cache.keys.shape[0] == 1


def test_places_are_used_again() -> None:
    batch = CpuBatch(MODEL)
    for _ in range(3):
        some = sequences()[:3]
        for sequence in some:
            batch.join(sequence)
        batch.advance(2)
        for sequence in some:
            batch.leave(sequence)
    assert batch.advance(2) == []
    assert batch._cache.keys.shape[0] == 4


def test_a_model_that_changes_is_read_anew_by_the_next_batch() -> None:
    model = random_gpt(DESIGNS["plain"])
    batch = CpuBatch(model)
    batch.join(Sequence([1], Sampling(temperature=0)))
    before = [token.id for token in generate(model, [1], 9, Sampling(temperature=0))]
    model.lm_head.weight.neg_()
    assert [token.id for token in batch.advance(9)[0]] == before
    assert [token.id for token in generate(model, [1], 9, Sampling(temperature=0))] != before


def as_halves(model: GPT) -> GPT:
    """With matrices that half precision holds."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.copy_(module.weight.half())
    return model


@every_design
def test_half_precision_is_that_of_rounded_matrices(config: GPTConfig) -> None:
    model = random_gpt(config).float()
    halves, whole = CpuBatch(model, halves=True), CpuBatch(as_halves(model))
    for batch in (halves, whole):
        for sequence in sequences():
            batch.join(sequence)
    assert halves.advance(20) == whole.advance(20)


def test_half_precision_is_taken_only_where_every_choice_stays() -> None:
    model = random_gpt(DESIGNS["plain"]).float()
    text = [*range(11)] * 8
    assert batch_of(model)._weights.qkv.dtype == "float32"
    assert batch_of(as_halves(model), halves_if_same_on=text)._weights.qkv.dtype == "uint16"
    model.lm_head.weight[:] = 1
    model.lm_head.bias.zero_()
    model.lm_head.weight[3] += 2e-4  # which half precision does not see, nor this
    model.lm_head.weight[4] -= 2e-4
    assert batch_of(model, halves_if_same_on=text)._weights.qkv.dtype == "float32"
