"""What is written on a GPU, by the same code on the CPU, against the slow way."""

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import GPTConfig
from model.gpt import GPT
from model.graph_batch import GraphBatch
from model.graph_sampling import ById, Choosing, adjusts, draw, shares
from model.graph_sampling import settings as as_row
from model.sampling import Sampling, distribution
from model.sequence import PastContext, Sequence, Token
from tests.replayed import Replayed
from tests.slow_decoding import drawn, written, written_in_turns
from tests.small_gpts import DESIGNS, every_design, random_gpt, random_ids

CONTEXT = DESIGNS["plain"].block_size
PROMPTS = [[1], [2, 3, 4], [*range(10), 3, 1], list(range(11)) * 3, [5, 5]]
MODEL = random_gpt(DESIGNS["plain"])

every_way_on = pytest.mark.parametrize("past_context", get_args(PastContext))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """More would wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sequences() -> list[Sequence]:
    kinds: tuple[PastContext, ...] = get_args(PastContext)
    return [
        Sequence(prompt, Sampling(temperature=0.9, seed=i), i % 3, kinds[i % 2])
        for i, prompt in enumerate(PROMPTS)
    ]


def alone(model: GPT, sequence: Sequence, steps: int, places: int = 8) -> list[Token]:
    batch = GraphBatch(model, places)
    batch.join(sequence)
    return batch.advance(steps)[0]


def ids(tokens: list[Token]) -> list[int]:
    return [token.id for token in tokens]


# Against the slow way


@every_way_on
@pytest.mark.parametrize("length", [1, 2, CONTEXT - 1, CONTEXT, CONTEXT + 1, 3 * CONTEXT])
@every_design
def test_every_length_around_the_context(
    config: GPTConfig, length: int, past_context: PastContext
) -> None:
    model, prompt = random_gpt(config), random_ids(config, length)
    sampling = Sampling(temperature=0.8, top_k=9, seed=length)
    expected, logprobs = written(model, prompt, 25, sampling, past_context == "jump")
    tokens = alone(model, Sequence(prompt, sampling, past_context=past_context), 25, places=1)
    assert ids(tokens) == expected
    assert [token.logprob for token in tokens] == pytest.approx(logprobs, abs=1e-4)


@every_way_on
@pytest.mark.parametrize("context", [1, 2, 3, 4, 5])
def test_contexts_of_which_a_jump_leaves_little(context: int, past_context: PastContext) -> None:
    model = random_gpt(DESIGNS["today"].model_copy(update={"block_size": context}))
    sampling = Sampling(seed=1)
    expected, _ = written(model, [1, 2, 3], 20, sampling, past_context == "jump")
    sequence = Sequence([1, 2, 3], sampling, past_context=past_context)
    assert ids(alone(model, sequence, 20)) == expected


def test_more_steps_at_once_than_there_is_room_for() -> None:
    sampling = Sampling(seed=3, repetition_penalty=1.3)
    expected, _ = written(MODEL, [1], 150, sampling)
    assert ids(alone(MODEL, Sequence([1], sampling), 150)) == expected


# Together


@every_design
def test_those_that_come_and_go_get_what_they_get_alone(config: GPTConfig) -> None:
    model, others = random_gpt(config), sequences()
    batch = GraphBatch(model, places=1)
    found = written_in_turns(batch, others)
    for sequence, tokens in zip(sequences(), found.values(), strict=True):
        assert len(tokens) > 5
        jump = sequence.past_context == "jump"
        expected, logprobs = written(model, sequence.ids, len(tokens), sequence.sampling, jump)
        assert ids(tokens) == expected
        assert [token.logprob for token in tokens] == pytest.approx(logprobs, abs=1e-4)


@every_design
def test_in_the_same_places_others_change_not_a_bit(config: GPTConfig) -> None:
    model, together = random_gpt(config).float(), sequences()
    batch = GraphBatch(model, places=4)
    for first, second in ((0, 3), (1, 2)):  # two at a time, one of them past its context or soon
        some = [together[first], together[second]]
        for sequence in some:
            batch.join(sequence)
        for sequence, tokens in zip(some, batch.advance(30), strict=True):
            again = sequences()[together.index(sequence)]
            assert tokens == alone(model, again, 30, places=4)
            batch.leave(sequence)


def test_texts_that_are_there_already_go_on_when_places_double() -> None:
    batch, some = GraphBatch(MODEL, places=1), sequences()
    found: list[list[Token]] = [[] for _ in some]
    for sequence in some:
        batch.join(sequence)
        for tokens, new in zip(found, batch.advance(7), strict=False):
            tokens += new
    for sequence, tokens in zip(sequences(), found, strict=True):
        jump = sequence.past_context == "jump"
        expected, _ = written(MODEL, sequence.ids, len(tokens), sequence.sampling, jump)
        assert ids(tokens) == expected


def test_a_batch_of_none_has_nothing_to_do() -> None:
    batch, sequence = GraphBatch(MODEL), Sequence([1])
    assert batch.advance(3) == []
    batch.join(sequence)
    batch.leave(sequence)
    assert batch.advance(3) == []
    assert sequence.ids == [1]


@every_design
def test_replaying_what_was_done_once_does_it_again(
    config: GPTConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a CUDA graph would: the same operations on the same tensors, none the host waits for."""
    model, steps = random_gpt(config), 2 * CONTEXT
    expected = [alone(model, sequence, steps) for sequence in sequences()]
    monkeypatch.setattr("model.graph_batch.Graphs", Replayed)
    batch, some = GraphBatch(model), sequences()
    found: list[list[Token]] = [[] for _ in some]
    for sequence in some:
        batch.join(sequence)
    for count in (1, 2, steps - 3):
        for tokens, new in zip(found, batch.advance(count), strict=True):
            tokens += new
    assert [ids(tokens) for tokens in found] == [ids(tokens) for tokens in expected]
    once = {"step", "draw"} if model.endless else {"step", "draw", "jump", "read_windows"}
    assert {name[0] for name in batch._graphs.replays} == once


# Drawing


def test_the_likeliest_are_those_of_the_logits() -> None:
    batch = GraphBatch(MODEL)
    for count in (0, 3, 20):
        batch.join(Sequence([1, 2], Sampling(seed=0), alternatives=count))
    (none,), (three,), (all_of_them,) = batch.advance(1)
    logprobs = MODEL(torch.tensor([[1, 2]]))[0, -1].log_softmax(-1)
    best = logprobs.topk(11)
    assert [id for id, _ in all_of_them.top] == best.indices.tolist()
    assert [p for _, p in all_of_them.top] == pytest.approx(best.values.tolist(), abs=1e-4)
    assert three.top == all_of_them.top[:3]
    assert none.top == []
    assert all_of_them.logprob == dict(all_of_them.top)[all_of_them.id]


def test_of_equals_the_first_is_the_likeliest() -> None:
    model = random_gpt(DESIGNS["plain"])
    model.lm_head.weight.zero_()
    model.lm_head.bias.fill_(0.5)
    sequence = Sequence([4], Sampling(temperature=0, top_p=0.1), alternatives=3)
    for token in alone(model, sequence, 5):
        assert token.id == 0
        assert [id for id, _ in token.top] == [0, 1, 2]


ways_to_draw = st.builds(
    Sampling,
    temperature=st.sampled_from([0, 1e-35, 0.2, 1, 3]),
    top_k=st.sampled_from([None, 1, 2, 5, 11, 50]),
    top_p=st.sampled_from([None, 0.1, 0.5, 0.9, 1]),
    min_p=st.sampled_from([None, 0, 0.05, 0.4, 1]),
    repetition_penalty=st.sampled_from([0.5, 1, 1.7]),
    presence_penalty=st.sampled_from([-2, 0, 0.7]),
    frequency_penalty=st.sampled_from([-0.5, 0, 1.1]),
    logit_bias=st.sampled_from([{}, {3: 2.5}, {0: -100, 10: 4, 7: -0.5}]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ways_to_draw, min_size=3, max_size=3), st.integers(0, 2**32))
def test_shares_are_the_distribution(several: list[Sampling], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits, V = 4 * torch.randn(3, 19, generator=generator), 19
    prompts, added = torch.randint(0, V, (2, 3, 6), generator=generator)
    u = torch.rand(3, generator=generator, dtype=torch.float64)
    by_id = ById(
        there=torch.zeros(3, V).scatter(1, torch.cat([prompts, added], 1), 1) > 0,
        bias=torch.tensor([[each.logit_bias.get(i, 0.0) for i in range(V)] for each in several]),
        counts=torch.stack([row.bincount(minlength=V) for row in added]),
    )
    rows = torch.tensor([as_row(sampling, V) for sampling in several], dtype=torch.float64)
    adjusted = any(adjusts(sampling) for sampling in several)
    how = Choosing(*rows.split(1, dim=1))
    found = shares(logits, how, by_id, adjusted=adjusted, filtered=True)
    greedy = torch.tensor([sampling.temperature < 1e-30 for sampling in several])
    chosen = draw(found, u.masked_fill(greedy, 0))
    for i, sampling in enumerate(several):
        written = added[i].tolist()
        history = prompts[i].tolist() + written
        expected = distribution(logits[i], sampling, history, written)
        torch.testing.assert_close(found[i] / found[i].sum(), expected.double(), atol=1e-5, rtol=0)
        assert int(chosen[i]) == drawn(logits[i], sampling, history, float(u[i]), written)


@settings(max_examples=25, deadline=None)
@given(st.lists(ways_to_draw, min_size=1, max_size=4))
def test_each_is_drawn_in_its_own_way(several: list[Sampling]) -> None:
    batch, each = GraphBatch(MODEL), [replace(way, seed=i) for i, way in enumerate(several)]
    for i, sampling in enumerate(each):
        batch.join(Sequence([1, 2, i], sampling))
    for i, tokens in enumerate(batch.advance(3)):
        assert ids(tokens) == written(MODEL, [1, 2, i], 3, each[i])[0]


def test_a_share_of_nothing_is_never_drawn() -> None:
    """However close to 1 the number is, and whatever its first and last shares."""
    some = torch.tensor([[0, 1, 0, 0.3, 0], [1, 0, 0, 0, 0]], dtype=torch.float64)
    for u in (0.0, 0.5, 1 - 2**-53):
        chosen = draw(some, torch.full((2,), u, dtype=torch.float64)).tolist()
        assert chosen == [3 if u > 0.8 else 1, 0]
