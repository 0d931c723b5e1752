"""From logits to a draw, against closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.sampling import Sampling, distribution, stages

P = torch.tensor([0.5, 0.25, 0.15, 0.1])
LOGITS = P.log()


def test_the_defaults_change_nothing() -> None:
    torch.testing.assert_close(distribution(LOGITS, Sampling()), P)


def test_temperature_is_a_power_of_the_probabilities() -> None:
    expected = P**2 / (P**2).sum()
    torch.testing.assert_close(distribution(LOGITS, Sampling(temperature=0.5)), expected)


def test_top_k_keeps_the_likeliest() -> None:
    expected = torch.tensor([2 / 3, 1 / 3, 0, 0])
    torch.testing.assert_close(distribution(LOGITS, Sampling(top_k=2)), expected)


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.5, 1), (0.51, 2), (0.8, 3), (0.95, 4)])
def test_top_p_keeps_the_fewest_that_reach_it(top_p: float, kept: int) -> None:
    assert int((distribution(LOGITS, Sampling(top_p=top_p)) > 0).sum()) == kept


def test_min_p_is_relative_to_the_likeliest() -> None:
    expected = torch.tensor([2 / 3, 1 / 3, 0, 0])
    torch.testing.assert_close(distribution(LOGITS, Sampling(min_p=0.4)), expected)


def test_the_repetition_penalty_divides_positive_and_multiplies_negative_logits() -> None:
    logits = torch.tensor([2.0, -1.0, 2.0, -1.0])
    expected = torch.tensor([1.0, -2.0, 2.0, -1.0]).softmax(-1)
    got = distribution(logits, Sampling(repetition_penalty=2), history=[0, 1, 0])
    torch.testing.assert_close(got, expected)


def test_a_bias_is_added_to_the_logits() -> None:
    got = distribution(LOGITS, Sampling(logit_bias={1: math.log(2), 3: -100}))
    torch.testing.assert_close(got, torch.tensor([0.5, 0.5, 0.15, 0]) / 1.15)


def test_penalties_are_taken_from_what_was_written_and_not_from_the_prompt() -> None:
    sampling = Sampling(presence_penalty=0.5, frequency_penalty=-0.25)
    written = [2, 1, 2, 2]
    got = distribution(LOGITS, sampling, history=[0, 0, *written], written=written)
    taken = torch.tensor([0, 0.5 - 0.25, 0.5 - 0.75, 0])
    torch.testing.assert_close(got, (P / taken.exp()) / (P / taken.exp()).sum())


def test_a_bias_comes_before_the_repetition_penalty_and_that_before_the_others() -> None:
    logits = torch.tensor([1.0, -1.0, 0.5])
    sampling = Sampling(
        repetition_penalty=2, presence_penalty=1, frequency_penalty=1, logit_bias={0: -3, 1: 3}
    )
    found = stages(logits, sampling, history=[0, 1], written=[1])
    assert [stage for stage, _ in found] == [
        "model", "logit_bias", "repetition_penalty", "penalties",
    ]  # fmt: skip
    by_hand = ([1, -1, 0.5], [-2, 2, 0.5], [-4, 1, 0.5], [-4, -1, 0.5])
    for (_, probabilities), expected in zip(found, by_hand, strict=True):
        torch.testing.assert_close(probabilities, torch.tensor(expected).softmax(-1))


def test_temperature_zero_takes_the_likeliest() -> None:
    assert distribution(LOGITS, Sampling(temperature=0)).tolist() == [1, 0, 0, 0]


@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=40),
    st.floats(0.05, 10),
    st.integers(1, 50),
    st.floats(0.01, 1),
    st.floats(0, 1),
)
def test_any_settings_leave_a_distribution_that_holds_the_likeliest(
    logits: list[float], temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    p = distribution(torch.tensor(logits), Sampling(temperature, top_k, top_p, min_p))
    assert math.isclose(float(p.sum()), 1, rel_tol=1e-4)
    assert (p >= 0).all() and p[torch.tensor(logits).argmax()] > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"top_k": 0},
        {"top_p": 0},
        {"top_p": 1.1},
        {"min_p": 2},
        {"logit_bias": {-1: 1}},
    ],
    ids=str,
)
def test_settings_out_of_range_name_their_field(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)


def test_each_stage_by_hand() -> None:
    found = stages(LOGITS, Sampling(temperature=0.5, top_k=3, top_p=0.9, min_p=0.3))
    squared = P**2 / 0.345
    expected = {
        "model": P,
        "temperature": squared,
        "top_k": torch.tensor([0.25, 0.0625, 0.0225, 0]) / 0.335,
        "top_p": torch.tensor([0.8, 0.2, 0, 0]),  # 0.746 and 0.187 of it reach 0.9
        "min_p": torch.tensor([1.0, 0, 0, 0]),  # 0.2 is below 0.3 of 0.8
    }
    assert [stage for stage, _ in found] == list(expected)
    for stage, probabilities in found:
        torch.testing.assert_close(probabilities, expected[stage], msg=stage)


def test_a_penalty_is_a_stage_where_something_is_there_already() -> None:
    sampling = Sampling(repetition_penalty=2)
    assert [stage for stage, _ in stages(LOGITS, sampling)] == ["model"]
    (_, model), (stage, penalised) = stages(LOGITS, sampling, history=[0])
    assert stage == "repetition_penalty"
    torch.testing.assert_close(model, P)
    torch.testing.assert_close(penalised, torch.tensor([0.25, 0.25, 0.15, 0.1]) / 0.75)


def test_what_changes_nothing_is_no_stage() -> None:
    nothing = Sampling(
        temperature=1, top_k=4, top_p=1, min_p=0, repetition_penalty=1, logit_bias={2: 0.0}
    )
    penalties = Sampling(presence_penalty=2, frequency_penalty=2)
    assert [stage for stage, _ in stages(LOGITS, penalties, history=[1])] == ["model"]
    assert [stage for stage, _ in stages(LOGITS, nothing, history=[1])] == ["model"]


@pytest.mark.parametrize("temperature", [0, 1e-35, 1e-320])
def test_temperature_zero_is_the_last_stage(temperature: float) -> None:
    """So is one that float32 cannot divide by."""
    sampling = Sampling(temperature=temperature, top_k=2, top_p=0.5, repetition_penalty=3)
    found = stages(LOGITS, sampling, history=[0])
    assert [stage for stage, _ in found] == ["model", "repetition_penalty", "temperature"]
    assert found[-1][1].tolist() == [0, 1, 0, 0]  # 0.5 became 0.125


@given(
    st.lists(st.floats(-9, 9), min_size=2, max_size=20),
    st.sampled_from([0, 0.3, 1, 2]),
    st.sampled_from([None, 1, 3, 30]),
    st.sampled_from([None, 0.2, 0.9, 1]),
    st.sampled_from([None, 0.1, 0.7]),
)
def test_stages_end_in_the_distribution_and_only_ever_leave_out(
    logits: list[float],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
) -> None:
    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty=1.3)
    found = stages(torch.tensor(logits), sampling, history=[0])
    assert torch.equal(found[-1][1], distribution(torch.tensor(logits), sampling, [0]))
    left = [int((probabilities > 0).sum()) for _, probabilities in found]
    assert left == sorted(left, reverse=True)
    for _, probabilities in found:
        assert math.isclose(float(probabilities.sum()), 1, rel_tol=1e-5)
