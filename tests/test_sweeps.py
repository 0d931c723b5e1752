"""A sweep's runs against what they should be, written out; and every way to ask for a wrong one."""

import itertools
import math
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.errors import InvalidRequest
from app.sweep_request import SweepRequest
from app.sweeps import Expansion, expand
from model.config import RUN_ID_PATTERN, GPTConfig, TrainConfig
from model.presets import PRESETS

RATE, HEADS, LAYERS = "train.learning_rate", "model.n_head", "model.n_layer"


def sweep(base="baseline", is_taken=lambda _: False, **fields) -> Expansion:
    common = {} if "presets" in fields or "config" in fields else {"preset": base}
    return expand(SweepRequest(**common, **fields), is_taken)


def drawn(count: int, base="baseline", seed: int = 0, **fields) -> list[dict]:
    """The values of a random sweep; `model__n_head` stands for `model.n_head`."""
    fields = {name.replace("__", "."): draw for name, draw in fields.items()}
    search = {"count": count, "seed": seed, "fields": fields}
    return [run.values for run in sweep(base, random=search, limit=1000).runs]


def refusal(**fields) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        sweep(**fields)
    assert caught.value.message.startswith(f"{caught.value.param}: ")
    return caught.value


def refused_field(**request) -> tuple[str, str]:
    """The dotted field that pydantic's own check of a request names, and what it says."""
    with pytest.raises(ValidationError) as caught:
        SweepRequest(**request)
    error = caught.value.errors()[0]
    place = [*error["loc"], *filter(None, [error.get("ctx", {}).get("field")])]
    return ".".join(map(str, place)), error["msg"]


# Presets


def test_the_exercise_is_four_presets() -> None:
    found = sweep(presets=["baseline", "case-1", "case-2", "case-3"])
    assert set(found.fields) == {"train.max_iters", "model.block_size", HEADS}
    changes = [{}, {"train.max_iters": 10_000}, {"model.block_size": 64}, {HEADS: 8}]
    usual = {"train.max_iters": 5000, "model.block_size": 32, HEADS: 4}
    assert [run.values for run in found.runs] == [usual | change for change in changes]
    requests = [run.request for run in found.runs]
    assert [request.preset for request in requests] == ["baseline", "case-1", "case-2", "case-3"]
    assert {request.run_id for request in requests} == {None}  # each is named after its preset
    assert all(request.config is None for request in requests)


def test_presets_of_two_families_differ_in_what_both_have() -> None:
    found = sweep(presets=["bigram", "baseline"], run_id="both", title="Two families")
    assert found.fields == ["model.kind", "train.window", RATE]
    assert [run.values["model.kind"] for run in found.runs] == ["bigram", "gpt"]
    assert [run.request.run_id for run in found.runs] == ["both.bigram", "both.baseline"]
    assert found.title == "Two families"


# Grids


def test_a_grid_is_every_combination_the_last_field_fastest() -> None:
    found = sweep(
        "case-2",
        grid={RATE: [1e-3, 3e-3], HEADS: [2, 4, 8]},
        hypothesis="More heads want a lower rate.",
        corpus="mine",
        tokenizer="byte",
        device="cpu",
    )
    pairs = [(1e-3, 2), (1e-3, 4), (1e-3, 8), (3e-3, 2), (3e-3, 4), (3e-3, 8)]
    assert found.fields == [RATE, HEADS]
    assert [tuple(run.values.values()) for run in found.runs] == pairs
    for (rate, heads), run in zip(pairs, found.runs, strict=True):
        request = run.request
        assert request.preset is None
        assert request.config.model == GPTConfig(block_size=64, n_head=heads)
        assert request.config.train == TrainConfig(learning_rate=rate)
        assert (request.corpus, request.tokenizer, request.device) == ("mine", "byte", "cpu")
        assert request.hypothesis == "More heads want a lower rate."


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from([1, 2, 4, 8, 16]), min_size=1, max_size=4, unique=True),
    st.lists(st.floats(1e-5, 1), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from([None, 0.5, 1.0]), min_size=1, max_size=3, unique=True),
)
def test_any_grid_is_the_product_of_its_lists(layers, heads, rates, clips) -> None:
    grid = {LAYERS: layers, HEADS: heads, RATE: rates, "train.grad_clip": clips}
    found = sweep(grid=grid, limit=200)
    expected = itertools.product(layers, heads, rates, clips)
    assert [tuple(run.values.values()) for run in found.runs] == list(expected)
    ids = [run.request.run_id for run in found.runs]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(RUN_ID_PATTERN, id) for id in ids)


def test_a_configuration_may_be_the_base() -> None:
    found = sweep(config={"model": {"n_embd": 96}}, grid={HEADS: [3, 6]})
    models = [run.request.config.model for run in found.runs]
    assert models == [GPTConfig(n_embd=96, n_head=3), GPTConfig(n_embd=96, n_head=6)]


def test_values_are_what_the_configuration_makes_of_them() -> None:
    values = [run.values for run in sweep(grid={RATE: [1], HEADS: [2.0]}).runs]
    assert [[type(value) for value in each.values()] for each in values] == [[float, int]]


def test_fields_that_only_fit_together_are_changed_together() -> None:
    grid = {"model.tie_weights": [True], "model.head_bias": [False]}
    (run,) = sweep(grid=grid).runs
    assert run.request.config.model == GPTConfig(tie_weights=True, head_bias=False)


def test_byte_pairs_may_vary_in_number() -> None:
    found = sweep(grid={"model.vocab_size": [300, 500]}, tokenizer="bpe")
    assert [run.request.config.model.vocab_size for run in found.runs] == [300, 500]
    assert refusal(grid={"model.vocab_size": [300]}).param == "grid.model.vocab_size"


# Names


def test_run_ids_and_titles_say_the_values() -> None:
    grid = {HEADS: [8], RATE: [3e-3, 1e-5], "model.tie_weights": [False], "train.grad_clip": [None]}
    found = sweep(grid=grid, run_id="s")
    assert [run.request.run_id for run in found.runs] == [
        "s.n_head-8.learning_rate-0.003.tie_weights-false.grad_clip-null",
        "s.n_head-8.learning_rate-1e-05.tie_weights-false.grad_clip-null",
    ]
    assert found.runs[0].request.title == (
        "Baseline: n_head 8, learning_rate 0.003, tie_weights false, grad_clip null"
    )
    assert found.title == "Baseline: n_head and learning_rate and tie_weights and grad_clip"


def test_where_values_are_too_long_or_too_alike_runs_are_numbered() -> None:
    alike = sweep(grid={RATE: [0.00123456701, 0.00123456702]}, run_id="s").runs
    assert [run.request.run_id for run in alike] == ["s.1", "s.2"]
    grid = {
        "train.final_lr_ratio": [0.1],
        "train.muon_learning_rate": [i / 10 for i in range(1, 13)],
    }
    long = sweep(grid=grid, run_id="x" * 48).runs
    assert [run.request.run_id[48:] for run in long] == [f".{i:02}" for i in range(1, 13)]


@pytest.mark.parametrize(
    ("fields", "prefix"),
    [
        ({}, "baseline"),
        ({"title": "More heads?  (2)"}, "more-heads-2"),
        ({"title": "Über ..."}, "ber"),
        ({"title": "?!"}, "sweep"),
        ({"title": "a" * 200}, "a" * 42),
        ({"title": "Heads", "run_id": "mine"}, "mine"),
    ],
)
def test_run_ids_begin_with_the_best_name_there_is(fields, prefix) -> None:
    (run,) = sweep(grid={HEADS: [2]}, **fields).runs
    assert run.request.run_id == f"{prefix}.n_head-2"


def test_run_ids_in_use_are_not_given_again() -> None:
    taken = {"baseline.n_head-8", "baseline-2.n_head-2"}
    runs = sweep(is_taken=taken.__contains__, grid={HEADS: [2, 8]}).runs
    assert [run.request.run_id for run in runs] == ["baseline-3.n_head-2", "baseline-3.n_head-8"]
    asked_for = sweep(is_taken=lambda _: True, grid={HEADS: [2]}, run_id="mine").runs
    assert asked_for[0].request.run_id == "mine.n_head-2"


def test_titles_stay_short_enough() -> None:
    (run,) = sweep(grid={HEADS: [2]}, title="a" * 200).runs
    assert len(run.request.title) == 200
    assert run.request.title.endswith("a…")


# Random values


def test_the_same_seed_draws_the_same_and_more_draws_go_on_from_fewer() -> None:
    fields = {"train__learning_rate": {"min": 1e-4, "max": 1e-1, "log": True}}
    fields["model__n_layer"] = {"min": 1, "max": 12}
    assert drawn(20, **fields) == drawn(20, **fields)
    assert drawn(20, **fields)[:5] == drawn(5, **fields)
    assert drawn(20, **fields) != drawn(20, seed=1, **fields)


def test_a_logarithmic_range_has_as_many_of_each_magnitude() -> None:
    rates = [
        values[RATE]
        for values in drawn(900, train__learning_rate={"min": 1e-4, "max": 1e-1, "log": True})
    ]
    assert min(rates) >= 1e-4
    assert max(rates) <= 1e-1
    magnitudes = Counter(math.floor(math.log10(rate)) for rate in rates)
    assert all(abs(magnitudes[power] - 300) < 45 for power in (-4, -3, -2))  # 3 deviations
    assert all(float(f"{rate:.3g}") == rate for rate in rates)


def test_a_plain_range_is_even() -> None:
    shares = [
        values["train.beta1"] for values in drawn(300, train__beta1={"min": 0.25, "max": 0.75})
    ]
    assert 0.25 <= min(shares) < 0.26
    assert 0.74 < max(shares) <= 0.75
    assert sum(shares) / len(shares) == pytest.approx(0.5, abs=0.025)


def test_integers_stay_integers_and_reach_both_ends() -> None:
    both = {"model__n_layer": {"min": 1, "max": 4}, "train__seed": {"min": 0, "max": 10**9}}
    layers = Counter(values[LAYERS] for values in drawn(400, **both))
    assert set(layers) == {1, 2, 3, 4}
    assert {type(layer) for layer in layers} == {int}
    assert min(layers.values()) > 70


def test_integers_in_a_logarithmic_range() -> None:
    both = {"model__block_size": {"min": 1, "max": 7, "log": True}}
    both["train__seed"] = {"min": 0, "max": 10**9}
    sizes = Counter(values["model.block_size"] for values in drawn(900, **both))
    expected = {size: 900 * math.log2((size + 1) / size) / 3 for size in range(1, 8)}
    assert sizes.keys() == expected.keys()
    assert all(abs(sizes[size] - count) < 4 * math.sqrt(count) for size, count in expected.items())


def test_values_to_choose_from_are_all_chosen() -> None:
    choices = {"model__activation": {"values": ["relu", "gelu", "swiglu"]}}
    assert {values["model.activation"] for values in drawn(3, **choices)} == {
        "relu",
        "gelu",
        "swiglu",
    }


def test_what_cannot_be_trained_or_is_there_already_is_drawn_again() -> None:
    heads = [values[HEADS] for values in drawn(7, model__n_head={"min": 1, "max": 64})]
    assert sorted(heads) == [1, 2, 4, 8, 16, 32, 64]  # the divisors of 64


# What is refused


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"grid": {"model.n_heads": [2]}}, "grid.model.n_heads", "'model.n_head'"),
        ({"grid": {"learning_rate": [1]}}, "grid.learning_rate", f"'{RATE}'"),
        ({"grid": {"model.kind": ["gpt"]}}, "grid.model.kind", "no such field"),
        ({"grid": {HEADS: [2]}, "base": "bigram"}, "grid.model.n_head", "bigram model"),
        ({"grid": {HEADS: [2, "x"]}}, "grid.model.n_head", "'x': input should be a valid integer"),
        ({"grid": {HEADS: [2, 97]}}, "grid.model.n_head", "97: input should be less than"),
        ({"grid": {HEADS: [2.5]}}, "grid.model.n_head", "2.5"),
        ({"grid": {"model.norm": ["none"]}}, "grid.model.norm", "'layernorm' or 'rmsnorm'"),
        ({"grid": {RATE: [[1]]}}, f"grid.{RATE}", "[1]"),
        ({"grid": {HEADS: [2, 4, 2]}}, "grid.model.n_head", "2 is there twice"),
        ({"grid": {HEADS: [2, 2.0]}}, "grid.model.n_head", "2 is there twice"),
        ({"grid": {LAYERS: [1], HEADS: [2, 3]}}, "grid.model.n_head", "n_layer 1, n_head 3"),
        ({"grid": {"train.max_iters": [1000, 100], "train.warmup_iters": [200]}}, "grid", "100"),
        ({"presets": ["baseline", "nope"]}, "presets", "'nope'; there are bigram"),
        ({"presets": ["baseline", "baseline"]}, "presets", "twice"),
        ({"grid": {HEADS: [2]}, "base": "nope"}, "preset", "'nope'"),
    ],
    ids=str,
)
def test_a_wrong_sweep_is_refused_as_a_whole(fields, param, words) -> None:
    error = refusal(**fields)
    assert error.param == param or error.param.startswith(f"{param}.")
    assert words in error.message


@pytest.mark.parametrize(
    ("count", "fields"),
    [
        (33, {"grid": {"train.seed": list(range(33))}}),
        (9, {"grid": {HEADS: [1, 2, 4], LAYERS: [1, 2, 3]}, "limit": 8}),
        (8, {"random": {"count": 8, "fields": {RATE: {"min": 0.1, "max": 1}}}, "limit": 7}),
        (2, {"presets": ["baseline", "case-1"], "limit": 1}),
        (10**18, {"grid": {f"train.x{i}": list(range(1000)) for i in range(6)}}),
    ],
)
def test_more_runs_than_the_limit_are_refused(count, fields) -> None:
    error = refusal(**fields)
    assert (error.param, error.code) == ("limit", "too_many")
    assert f"{count:,} runs" in error.message
    assert f"{fields.get('limit', 32)}" in error.message


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({HEADS: {"values": [3, 5]}}, "random.count", "n_head 3, for one|n_head 5, for one"),
        ({HEADS: {"values": [2, 4]}}, "random.count", "only 2 of 3 were found .* too few values"),
        ({HEADS: {"values": [2, 0]}}, "random.fields.model.n_head.values", "0: input should"),
        ({HEADS: {"min": 0, "max": 4}}, "random.fields.model.n_head.min", "0.0: input should"),
        ({HEADS: {"min": 2, "max": 400}}, "random.fields.model.n_head.max", "400.0: input should"),
        ({HEADS: {"min": 1.5, "max": 4}}, "random.fields.model.n_head.min", "1.5"),
        ({"model.bias": {"min": 0, "max": 1}}, "random.fields.model.bias", "range is for numbers"),
        ({"model.norms": {"values": [1]}}, "random.fields.model.norms", "'model.norm'"),
    ],
    ids=str,
)
def test_wrong_draws_are_refused(fields, param, words) -> None:
    error = refusal(random={"count": 3, "fields": fields})
    assert error.param.removesuffix(".values") == param.removesuffix(".values")
    assert re.search(words, error.message)


@pytest.mark.parametrize(
    ("request_body", "field"),
    [
        ({}, "grid"),
        ({"preset": "baseline"}, "grid"),
        ({"preset": "baseline", "grid": {}}, "grid"),
        ({"preset": "baseline", "grid": {HEADS: []}}, f"grid.{HEADS}"),
        ({"preset": "baseline", "grid": {HEADS: 2}}, f"grid.{HEADS}"),
        ({"presets": []}, "presets"),
        ({"presets": ["baseline"], "grid": {HEADS: [2]}}, "grid"),
        ({"presets": ["baseline"], "preset": "baseline"}, "preset"),
        ({"grid": {HEADS: [2]}}, "config"),
        ({"grid": {HEADS: [2]}, "preset": "baseline", "config": {}}, "config"),
        ({"grid": {HEADS: [2]}, "config": {"model": {"n_head": 3}}}, "config.model.gpt.n_embd"),
        ({"preset": "baseline", "grid": {HEADS: [2]}, "limit": 0}, "limit"),
        ({"preset": "baseline", "grid": {HEADS: [2]}, "run_id": "No"}, "run_id"),
        ({"preset": "baseline", "grid": {HEADS: [2]}, "grids": 1}, "grids"),
        ({"preset": "baseline", "random": {"count": 1, "fields": {}}}, "random.fields"),
        ({"preset": "baseline", "random": {"count": 0, "fields": {HEADS: {}}}}, "random.count"),
    ],
    ids=str,
)
def test_a_request_of_the_wrong_shape_is_refused(request_body, field) -> None:
    assert refused_field(**request_body)[0] == field


@pytest.mark.parametrize(
    ("draw", "field"),
    [
        ({}, "max"),
        ({"min": 1}, "max"),
        ({"max": 1}, "min"),
        ({"min": 2, "max": 2}, "min"),
        ({"min": 0, "max": 2, "log": True}, "min"),
        ({"min": 0, "max": math.inf}, "max"),
        ({"values": [1], "max": 2}, "values"),
        ({"values": []}, "values"),
        ({"values": [1], "step": 2}, "step"),
    ],
    ids=str,
)
def test_a_draw_is_values_or_a_range(draw, field) -> None:
    body = {"preset": "baseline", "random": {"count": 1, "fields": {RATE: draw}}}
    assert refused_field(**body)[0] == f"random.fields.{RATE}.{field}"


def test_every_field_of_a_configuration_can_vary() -> None:
    """The default of each, as the only value, gives the preset itself."""
    for preset in PRESETS.values():
        for part, config in (("model", preset.model), ("train", preset.train)):
            for name, value in config:
                if name not in {"kind", "vocab_size"}:
                    (run,) = sweep(preset.id, grid={f"{part}.{name}": [value]}).runs
                    assert getattr(run.request.config, part) == config
