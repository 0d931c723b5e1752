"""Scores of heads: of known role, against plain loops, and of a circuit built by hand."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model import head_roles
from model.attention import attention_maps
from model.config import GPTConfig
from model.gpt import GPT
from model.head_roles import (
    ROLES,
    SEED,
    SEQUENCES,
    Score,
    badges,
    repeated_length,
    repeated_maps,
    repeated_scores,
    text_scores,
)

DOCS = Path(__file__).resolve().parents[1] / "docs" / "attention.md"
T = 12


def looking_at(key: Callable[[int], int], tokens: int = T) -> Tensor:
    """A map whose every query gives all to one key, (tokens, tokens)."""
    rows = torch.zeros(tokens, tokens)
    for i in range(tokens):
        rows[i, max(0, key(i))] = 1
    return rows


def even(tokens: int = T) -> Tensor:
    return torch.ones(tokens, tokens).tril() / torch.arange(1, tokens + 1)[:, None]


def random_maps(*shape: int) -> Tensor:
    """Maps (..., T, T) of softmax over random scores."""
    torch.manual_seed(0)
    scores = 2 * torch.randn(*shape, shape[-1])
    return scores.masked_fill(torch.ones(shape[-1], shape[-1]).triu(1) > 0, -torch.inf).softmax(-1)


def scored(rows: Tensor, repeated: Tensor | None = None) -> dict[str, tuple[float, float | None]]:
    """Raw and corrected scores of one head's map."""
    maps = rows[None, None]
    scores = text_scores(maps)
    if repeated is not None:
        scores |= repeated_scores(repeated[None, None])
    return {
        name: (float(s.raw), None if s.corrected is None else float(s.corrected))
        for name, s in scores.items()
    }


def earned(rows: Tensor, repeated: Tensor | None = None) -> list[str]:
    maps = rows[None, None]
    repeats = (even() if repeated is None else repeated)[None, None]
    return badges(text_scores(maps) | repeated_scores(repeats), 0, 0)


@pytest.mark.parametrize(
    ("name", "key", "distance"),
    [("previous", lambda i: i - 1, 1.0), ("self", lambda i: i, 0.0)],
)
def test_a_head_that_looks_at_one_place(
    name: str, key: Callable[[int], int], distance: float
) -> None:
    scores = scored(looking_at(key))
    assert scores[name] == (1.0, 1.0)
    assert scores["distance"] == (distance, distance)
    assert scores["entropy"] == (0.0, 0.0)
    assert earned(looking_at(key)) == [name]


def test_a_head_that_looks_at_the_first_token_says_nothing_else() -> None:
    scores = scored(looking_at(lambda i: 0))
    assert scores["first"] == (1.0, None)
    assert scores["previous"][0] == pytest.approx(1 / (T - 1)), "the second token's previous one"
    assert scores["distance"][0] == pytest.approx(T / 2)
    assert {name for name, (_, corrected) in scores.items() if corrected} == set()
    assert earned(looking_at(lambda i: 0)) == ["first"]


def test_a_head_that_looks_everywhere_alike() -> None:
    scores = scored(even())
    harmonic = sum(1 / (i + 1) for i in range(1, T)) / (T - 1)
    for name in ("previous", "first", "self"):
        assert scores[name][0] == pytest.approx(harmonic), name
    assert scores["entropy"][0] == pytest.approx(math.log2(math.factorial(T)) / (T - 1))
    assert scores["distance"][0] == pytest.approx(T / 4)
    assert scores["diffuse"] == (pytest.approx(1), pytest.approx(1))


@pytest.mark.parametrize("tokens", range(3, 12))
def test_a_short_text_alone_earns_no_badge(tokens: int) -> None:
    """Of few tokens each gets a lot for nothing."""
    assert earned(even(tokens)) == ["diffuse"]


@pytest.mark.parametrize("sink", [0.0, 0.4, 0.9, 0.97])
def test_the_first_token_hides_no_role(sink: float) -> None:
    rows = sink * looking_at(lambda i: 0) + (1 - sink) * looking_at(lambda i: i - 1)
    raw, corrected = scored(rows)["previous"]
    assert raw == pytest.approx(1 - sink * (T - 2) / (T - 1))
    assert corrected == pytest.approx(1, abs=1e-5)
    assert scored(rows)["entropy"][1] == pytest.approx(0, abs=1e-5)
    assert scored(rows)["distance"][1] == pytest.approx(1, abs=1e-5)
    assert earned(rows) == ["previous"] + ["first"] * (sink > 0.5)


def test_what_is_as_good_as_nothing_makes_no_noise() -> None:
    """A rest of a millionth goes to the previous token, and does not make a head of that role."""
    rows = (1 - 1e-6) * looking_at(lambda i: 0) + 1e-6 * looking_at(lambda i: i - 1)
    assert {corrected for _, corrected in scored(rows).values()} == {0.0, None}
    assert earned(rows) == ["first"]


@pytest.mark.parametrize(
    ("name", "key"), [("induction", lambda i: i - T // 2 + 1), ("duplicate", lambda i: i - T // 2)]
)
@pytest.mark.parametrize("sink", [0.0, 0.9])
def test_heads_that_find_an_earlier_occurrence(
    name: str, key: Callable[[int], int], sink: float
) -> None:
    repeated = sink * looking_at(lambda i: 0) + (1 - sink) * looking_at(key)
    assert scored(even(), repeated)[name][1] == pytest.approx(1, abs=1e-5)
    assert set(earned(even(), repeated)) == {name, "diffuse"}


# Against plain loops


def slow(rows: list[list[float]]) -> dict[str, tuple[float, float | None]]:
    """What the definitions say, number by number."""
    count = len(rows)
    raw: dict[str, list[float]] = {role.name: [] for role in ROLES}
    rest: dict[str, list[float]] = {role.name: [] for role in ROLES}
    left: list[float] = []
    for i in range(1, count):
        row = rows[i]
        raw["previous"].append(row[i - 1])
        raw["first"].append(row[0])
        raw["self"].append(row[i])
        raw["entropy"].append(-sum(p * math.log2(p) for p in row[: i + 1]))
        raw["diffuse"].append(raw["entropy"][-1] / math.log2(i + 1))
        raw["distance"].append(sum(p * (i - k) for k, p in enumerate(row)))
        if i < 2:
            continue
        left.append(1 - row[0])
        again = [p / left[-1] for p in row[1 : i + 1]]
        entropy = -sum(p * math.log2(p) for p in again)
        rest["previous"].append(left[-1] * again[-2])
        rest["self"].append(left[-1] * again[-1])
        rest["entropy"].append(left[-1] * entropy)
        rest["diffuse"].append(left[-1] * entropy / math.log2(i))
        rest["distance"].append(left[-1] * sum(p * (i - 1 - k) for k, p in enumerate(again)))

    def corrected(name: str) -> float | None:
        return None if name == "first" else sum(rest[name]) / (sum(left) or 1)

    names = [role.name for role in ROLES if role.on == "text"]
    return {name: (sum(raw[name]) / max(1, count - 1), corrected(name)) for name in names}


@pytest.mark.parametrize("tokens", [1, 2, 3, 9])
def test_scores_are_those_of_plain_loops(tokens: int) -> None:
    """A text of one token has no query with a choice, and scores 0 throughout."""
    maps = random_maps(2, 3, tokens)
    for layer in range(2):
        for head in range(3):
            rows = maps[layer, head]
            for name, expected in slow(rows.double().tolist()).items():
                assert scored(rows)[name] == pytest.approx(expected, abs=2e-6), name


def test_repeated_tokens_are_scored_as_by_plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    model = GPT(GPTConfig(vocab_size=11, block_size=13, n_layer=2, n_head=2, n_embd=16)).eval()
    scores = repeated_scores(repeated_maps(model))
    half = 6
    generator = torch.Generator().manual_seed(SEED)
    tokens = torch.randint(11, (SEQUENCES, half), generator=generator).tolist()
    all_maps = [attention_maps(model, once + once).double() for once in tokens]
    for name, ahead in (("induction", 1), ("duplicate", 0)):
        raw, picked, left = torch.zeros(3, 2, 2, dtype=torch.float64)
        for maps in all_maps:
            for i in range(half, 2 * half):
                key = i - half + ahead
                raw += maps[:, :, i, key] / (SEQUENCES * half)
                if key > 0:
                    picked += maps[:, :, i, key]
                    left += 1 - maps[:, :, i, 0]
        torch.testing.assert_close(scores[name].raw.double(), raw, atol=1e-6, rtol=0)
        assert scores[name].corrected is not None
        torch.testing.assert_close(
            scores[name].corrected.double(), picked / left, atol=1e-6, rtol=0
        )
    whole = repeated_maps(model)
    monkeypatch.setattr(head_roles, "CELLS_AT_ONCE", 3 * whole.numel())
    torch.testing.assert_close(repeated_maps(model), whole, atol=1e-6, rtol=0)


# On models


def induction_circuit(vocabulary: int = 512, context: int = 32) -> GPT:
    """Two layers of one head (Elhage et al. 2021): the second finds the token before by the first.

    The residual stream holds three one-hot vectors: the token, the position, and, written by the
    first head, the token before.
    """
    width = vocabulary + context + vocabulary
    config = GPTConfig(
        vocab_size=vocabulary,
        block_size=context,
        n_layer=2,
        n_head=1,
        n_embd=width,
        norm="rmsnorm",
        bias=False,
        mlp_ratio=1 / width,
    )
    token = slice(0, vocabulary)
    position = slice(vocabulary, vocabulary + context)
    before = slice(vocabulary + context, width)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.wte.weight[:, token] = torch.eye(vocabulary)
        model.wpe.weight[:, position] = torch.eye(context)
        first, second = (block.attn for block in model.blocks)
        q, k, v = first.qkv.weight.view(3, width, width)
        # A query at position i looks for the key at i - 1.
        q[position, position] = 10 * torch.eye(context).roll(-1, 0)
        k[position, position] = torch.eye(context)
        v[before, token] = torch.eye(vocabulary)
        first.proj.weight.copy_(torch.eye(width))
        q, k, _ = second.qkv.weight.view(3, width, width)
        q[token, token] = 10 * torch.eye(vocabulary)
        k[token, before] = torch.eye(vocabulary)
    return model


def head_scores(model: GPT, ids: list[int]) -> dict[str, Score]:
    """Every role's scores, on a text and on repeated random tokens."""
    return text_scores(attention_maps(model, ids)) | repeated_scores(repeated_maps(model))


def test_a_circuit_built_by_hand_is_recognised() -> None:
    scores = head_scores(induction_circuit(), list(range(100, 132)))
    assert badges(scores, 0, 0) == ["previous"]
    assert "induction" in badges(scores, 1, 0)
    assert float(scores["previous"].raw[0, 0]) > 0.99
    # Less than 1 by tokens that chance draws twice within a half.
    assert float(scores["induction"].raw[1, 0]) > 0.9
    assert float(scores["duplicate"].raw[1, 0]) < 0.1


@pytest.mark.parametrize(
    "config",
    [
        GPTConfig(block_size=1, n_embd=8, n_head=2, n_layer=1),
        GPTConfig(block_size=3, n_embd=8, n_head=2, n_layer=1),
        GPTConfig(
            block_size=8,
            n_embd=8,
            n_head=2,
            n_layer=3,
            position="rotary",
            norm="rmsnorm",
            qk_norm=True,
            qk_gain=True,
            qkv_conv=2,
        ),
    ],
    ids=["one token", "three tokens", "today's"],
)
def test_every_model_can_be_scored(config: GPTConfig) -> None:
    model = GPT(config).eval()
    for tokens in (1, config.block_size):
        scores = head_scores(model, [1] * tokens)
        assert set(scores) == {role.name for role in ROLES}
        for score in scores.values():
            assert score.raw.shape == score.telling.shape == (config.n_layer, config.n_head)
            assert score.raw.isfinite().all()
            assert score.telling.isfinite().all()
    too_short = repeated_length(config.block_size) == 0
    assert too_short == (config.block_size < 4)
    assert bool((scores["duplicate"].raw == 0).all()) == too_short


def test_the_docs_name_every_role_with_its_source_and_threshold() -> None:
    rows = [line for line in DOCS.read_text("utf-8").splitlines() if line.startswith("| `")]
    for role in ROLES:
        (row,) = [row for row in rows if row.startswith(f"| `{role.name}` |")]
        for fact in (role.title, role.source, role.unit, role.on):
            assert fact in row, (role.name, fact)
        assert row.endswith(f"| {role.badge_from or ''} |".replace("  ", " ")), role.name
