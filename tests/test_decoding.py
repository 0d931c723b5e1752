"""Writing text, against the slow way: the whole cropped window anew for every token."""

import pytest
import torch

from model.bigram import Bigram
from model.config import BigramConfig, GPTConfig, NGramConfig
from model.decoding import generate, next_logits
from model.gpt import GPT
from model.language_model import LanguageModel
from model.ngram import NGram
from model.sampling import Sampling
from model.scoring import score
from tests.slow_decoding import written

SIZE = {"vocab_size": 13, "block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 16}


def ngram() -> NGram:
    model = NGram(NGramConfig(vocab_size=13, order=4))
    model.count(torch.randint(0, 13, (500,), generator=torch.Generator().manual_seed(0)))
    return model


def convolution() -> GPT:
    """What it starts with is the identity, so it gets weights that mix."""
    model = GPT(GPTConfig(**SIZE, position="rotary", qk_norm=True, qk_gain=True, qkv_conv=3))
    for block in model.blocks:
        torch.nn.init.normal_(block.attn.conv.weight)
    return model


MODELS = {
    "learned": lambda: GPT(GPTConfig(**SIZE)),
    "rotary": lambda: GPT(GPTConfig(**SIZE, position="rotary", qk_norm=True, norm="rmsnorm")),
    "convolution": convolution,
    "endless": lambda: GPT(GPTConfig(**SIZE, position="rotary", attention_window=5)),
    "bigram": lambda: Bigram(BigramConfig(vocab_size=13)),
    "ngram": ngram,
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    torch.manual_seed(3)
    return MODELS[request.param]().eval()


@pytest.mark.parametrize("length", [1, 2, 6, 7, 8, 9, 10, 17, 40])
def test_every_length_around_the_context(model: LanguageModel, length: int) -> None:
    prompt = torch.randint(0, 13, (length,), generator=torch.Generator().manual_seed(length))
    sampling = Sampling(temperature=0.8, top_k=9, seed=5)
    expected, logprobs = written(model, prompt.tolist(), 25, sampling)
    tokens = list(generate(model, prompt.tolist(), 25, sampling))
    assert [token.id for token in tokens] == expected
    assert [token.logprob for token in tokens] == pytest.approx(logprobs, abs=1e-4)


def test_same_seed_same_text_whatever_runs_between(model: LanguageModel) -> None:
    alone = {seed: [t.id for t in generate(model, [1], 20, Sampling(seed=seed))] for seed in (1, 2)}
    together = {seed: generate(model, [1], 20, Sampling(seed=seed)) for seed in (2, 1)}
    found: dict[int, list[int]] = {1: [], 2: []}
    for _ in range(20):
        torch.rand(3)  # somebody else's randomness
        for seed, tokens in together.items():
            found[seed].append(next(tokens).id)
    assert found == alone
    assert alone[1] != alone[2]


def test_alternatives_are_the_likeliest_and_hold_the_greedy_choice(model: LanguageModel) -> None:
    for token in generate(model, [1, 2], 12, Sampling(temperature=0), alternatives=5):
        assert token.top[0] == (token.id, token.logprob)
        assert [p for _, p in token.top] == sorted((p for _, p in token.top), reverse=True)
        assert len(token.top) == 5


@pytest.mark.parametrize("length", [1, 8, 9, 17])
def test_next_logits_are_what_the_next_token_is_drawn_from(
    model: LanguageModel, length: int
) -> None:
    prompt = torch.randint(0, 13, (length,), generator=torch.Generator().manual_seed(1)).tolist()
    (token,) = generate(model, prompt, 1, alternatives=13)
    logprobs = next_logits(model, prompt).log_softmax(-1).tolist()
    assert logprobs == pytest.approx([dict(token.top)[id] for id in range(13)], abs=1e-4)


def test_score_agrees_with_what_was_reported_while_writing(model: LanguageModel) -> None:
    tokens = list(generate(model, [4, 2], 30, Sampling(seed=1), alternatives=2))
    scored = score(model, [4, 2] + [t.id for t in tokens], alternatives=2)
    assert scored[0] is None
    assert [s.logprob for s in scored[2:] if s] == pytest.approx(
        [t.logprob for t in tokens], abs=1e-4
    )


def test_an_empty_prompt_is_refused(model: LanguageModel) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        next(generate(model, [], 1))
