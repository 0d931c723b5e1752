"""Bias and penalties: every batch draws as `model.sampling` says, token by token."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from model.batch import Batch
from model.bigram import Bigram
from model.config import BigramConfig
from model.cpu_batch import CpuBatch
from model.graph_batch import GraphBatch
from model.language_model import LanguageModel
from model.sampling import Sampling
from model.sequence import Sequence, Token
from model.table_batch import TableBatch
from tests.replayed import Replayed
from tests.slow_decoding import written, written_in_turns
from tests.small_gpts import DESIGNS, random_gpt

V = 11
GPT = random_gpt(DESIGNS["plain"])
WAYS: list[dict[str, Any]] = [
    {},
    {"presence_penalty": 2.0},
    {"frequency_penalty": 0.7, "temperature": 0.9},
    {"logit_bias": {3: 4.0, 5: -100.0}, "top_k": 5},
    {
        "logit_bias": {0: 1.5, 10: -2.0},
        "repetition_penalty": 1.3,
        "presence_penalty": -0.5,
        "frequency_penalty": 0.4,
        "min_p": 0.02,
    },
]
PROMPTS = [[1], [2, 3, 4, 4, 4], [*range(10), 3, 1], [5, 5], [7]]


def bigram() -> LanguageModel:
    torch.manual_seed(0)
    return Bigram(BigramConfig(vocab_size=V)).eval().requires_grad_(requires_grad=False)


TABLE = bigram()
BATCHES: dict[str, tuple[LanguageModel, Any]] = {
    "cpu": (GPT, lambda: CpuBatch(GPT)),
    "table": (TABLE, lambda: TableBatch(TABLE)),
    "graph": (GPT, lambda: GraphBatch(GPT, places=1)),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """More would wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


every_batch = pytest.mark.parametrize("name", BATCHES)


def sequences(seed: int = 0, temperature: float | None = None) -> list[Sequence]:
    """One for each way, of a prompt of its own."""
    ways = [way if temperature is None else way | {"temperature": temperature} for way in WAYS]
    return [
        Sequence(prompt, Sampling(seed=seed + i, **way))
        for i, (prompt, way) in enumerate(zip(PROMPTS, ways, strict=True))
    ]


def alone(batch: Batch, sequence: Sequence, count: int) -> list[Token]:
    batch.join(sequence)
    return batch.advance(count)[0]


@every_batch
@pytest.mark.parametrize("temperature", [None, 0])
def test_the_text_is_that_of_the_slow_way(name: str, temperature: float | None) -> None:
    """Also of those that leave the batch, come back and meet others there."""
    model, make = BATCHES[name]
    texts = sequences(temperature=temperature)
    found = written_in_turns(make(), texts)
    differing = 0
    for text, fresh in zip(texts, sequences(temperature=temperature), strict=True):
        tokens = found[text]
        expected, logprobs = written(model, fresh.ids, len(tokens), fresh.sampling)
        assert [token.id for token in tokens] == expected
        assert [token.logprob for token in tokens] == pytest.approx(logprobs, abs=1e-4)
        plain = Sampling(seed=fresh.sampling.seed, temperature=fresh.sampling.temperature)
        differing += written(model, fresh.ids, len(tokens), plain)[0] != expected
    assert differing == len(WAYS) - 1, "every way but the first changes its text"


@every_batch
def test_who_shares_a_batch_changes_nothing(name: str) -> None:
    batch, texts = BATCHES[name][1](), sequences(seed=20)
    for text in texts:
        batch.join(text)
    for tokens, fresh in zip(batch.advance(25), sequences(seed=20), strict=True):
        again = alone(BATCHES[name][1](), fresh, 25)
        assert [token.id for token in tokens] == [token.id for token in again]


@every_batch
def test_a_place_keeps_nothing_of_who_left_it(name: str) -> None:
    batch = BATCHES[name][1]()
    for before, text in zip(sequences(), sequences(seed=9)[::-1], strict=True):
        assert alone(batch, before, 8)
        batch.leave(before)
        fresh = Sequence(text.ids, text.sampling)
        assert alone(batch, text, 15) == alone(BATCHES[name][1](), fresh, 15)
        batch.leave(text)


@every_batch
def test_a_bias_of_an_id_that_does_not_exist_is_refused_and_takes_no_place(name: str) -> None:
    batch = BATCHES[name][1]()
    with pytest.raises(ValueError, match="logit_bias: ids go from 0 to 10"):
        batch.join(Sequence([1], Sampling(logit_bias={V: 1.0})))
    assert batch.sequences == []


def test_what_nobody_asks_for_has_no_room() -> None:
    batch, ways = CpuBatch(GPT), sequences()

    def room() -> list[int]:
        return [array.shape[1] for array in (batch._how.bias, batch._how.counts)]

    for way, expected in ((0, [0, 0]), (3, [V, 0]), (1, [V, V])):
        batch.join(ways[way])
        assert room() == expected


def test_replaying_what_was_done_once_counts_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a CUDA graph would."""
    expected = [alone(GraphBatch(GPT), text, 20) for text in sequences()]
    monkeypatch.setattr("model.graph_batch.Graphs", Replayed)
    batch, texts = GraphBatch(GPT), sequences()
    found: list[list[Token]] = [[] for _ in texts]
    for text in texts:
        batch.join(text)
    for count in (1, 2, 17):
        for tokens, new in zip(found, batch.advance(count), strict=True):
            tokens += new
    assert [[t.id for t in tokens] for tokens in found] == [
        [t.id for t in tokens] for tokens in expected
    ]
