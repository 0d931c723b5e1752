"""Sampling against a slow and plain reading of its rules, whatever the logits and the settings."""

import math
from typing import Any

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from model.sampling import Sampling, distribution, stages

CLOSE = 1e-4  # of a limit: there float32 may decide otherwise

LOGITS = st.lists(
    st.integers(-8, 8).map(lambda n: n / 2)  # with ties
    | st.floats(-40, 40, width=32)
    | st.sampled_from([-math.inf, -1e30, 60.0]),
    min_size=2,
    max_size=24,
).filter(lambda logits: max(logits) > -math.inf)


@st.composite
def sampled(draw: st.DrawFn) -> tuple[list[float], dict[str, Any], list[int], list[int]]:
    """Logits, settings, and what is there already: all of it, and what was written of that."""
    logits = draw(LOGITS)
    ids = st.integers(0, len(logits) - 1)
    asked = {
        "temperature": draw(st.sampled_from([0, 0.1, 0.7, 1.0, 2.0]) | st.floats(0.05, 5)),
        "top_k": draw(st.none() | st.integers(1, len(logits) + 3)),
        "top_p": draw(st.none() | st.floats(0.01, 1)),
        "min_p": draw(st.none() | st.floats(0, 1)),
        "repetition_penalty": draw(st.just(1.0) | st.floats(0.5, 3)),
        "presence_penalty": draw(st.just(0.0) | st.floats(-2, 2)),
        "frequency_penalty": draw(st.just(0.0) | st.floats(-2, 2)),
        "logit_bias": draw(st.dictionaries(ids, st.floats(-100, 100), max_size=3)),
    }
    written = draw(st.lists(ids, max_size=5))
    return logits, asked, [*draw(st.lists(ids, max_size=5)), *written], written


def adjusted(
    logits: list[float], asked: dict[str, Any], history: list[int], written: list[int]
) -> list[float]:
    """One token after the other, as the documentation says."""
    found = []
    for id, logit in enumerate(logits):
        logit += asked["logit_bias"].get(id, 0)
        if id in history:
            penalty = asked["repetition_penalty"]
            logit = logit / penalty if logit > 0 else logit * penalty
        logit -= asked["frequency_penalty"] * written.count(id)
        logit -= asked["presence_penalty"] * (id in written)
        found.append(logit)
    return found


def plainly(logits: list[float], asked: dict[str, Any]) -> np.ndarray:
    """The distribution; examples that lie on a limit, where rounding decides, are left out."""
    if asked["temperature"] == 0:
        highest = max(logits)
        assume(sum(logit > highest - CLOSE * max(1, abs(highest)) for logit in logits) == 1)
        return np.array([float(logit == highest) for logit in logits])
    scaled = [logit / asked["temperature"] for logit in logits]
    if asked["top_k"] is not None and asked["top_k"] < len(scaled):
        ordered = sorted(scaled, reverse=True)
        least = ordered[asked["top_k"] - 1]
        near = [s for s in scaled if 0 < abs(s - least) < CLOSE * max(1, abs(least))]
        assume(not near)
        scaled = [s if s >= least else -math.inf for s in scaled]
    top = max(scaled)
    weights = [math.exp(max(s - top, -700)) if s > -math.inf else 0 for s in scaled]
    p = [w / sum(weights) for w in weights]
    if asked["top_p"] is not None and asked["top_p"] < 1:
        kept, total = set(), 0.0
        for id in sorted(range(len(p)), key=lambda id: -p[id]):
            assume(abs(total - asked["top_p"]) > CLOSE)
            if total < asked["top_p"]:
                kept.add(id)
            total += p[id]
        equal = {p[id] for id in kept} & {p[id] for id in range(len(p)) if id not in kept}
        assume(not equal or equal == {0.0})  # which of two equals comes first is nobody's rule
        p = [share if id in kept else 0 for id, share in enumerate(p)]
    if asked["min_p"]:
        limit = asked["min_p"] * max(p)
        assume(all(abs(share - limit) > CLOSE * limit for share in p))
        p = [share if share >= limit else 0 for share in p]
    return np.array(p) / sum(p)


@settings(max_examples=100)
@given(sampled())
def test_any_settings_together_are_what_the_rules_say(example: tuple) -> None:
    logits, asked, history, written = example
    expected = plainly(adjusted(logits, asked, history, written), asked)
    found = distribution(torch.tensor(logits), Sampling(**asked), history, written).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)


@settings(max_examples=100)
@given(sampled())
def test_whatever_is_asked_an_id_can_be_drawn(example: tuple) -> None:
    """With no example left out: a distribution, over ids that there are and that may be."""
    logits, asked, history, written = example
    found = stages(torch.tensor(logits), Sampling(**asked), history, written)
    for stage, p in found:
        assert bool((p >= 0).all()) and math.isclose(float(p.sum()), 1, rel_tol=1e-4), stage
    drawn = int(torch.multinomial(found[-1][1], 1))
    assert 0 <= drawn < len(logits) and logits[drawn] > -math.inf
    if asked["top_k"] is not None and asked["temperature"]:
        allowed = [p for stage, p in found if stage == "top_k"]
        assert all(p[drawn] > 0 for p in allowed)


def test_more_than_there_are_and_nothing_but_ties() -> None:
    even = torch.zeros(4)
    for top_k in (4, 5, 10**9):
        assert distribution(even, Sampling(top_k=top_k)).tolist() == [0.25] * 4
    assert distribution(even, Sampling(top_k=1)).tolist() == [0.25] * 4, "equals stay together"
    assert sorted(distribution(even, Sampling(top_p=0.5)).tolist()) == [0, 0, 0.5, 0.5]
    assert distribution(even, Sampling(min_p=1)).tolist() == [0.25] * 4
    assert sum(distribution(even, Sampling(temperature=0)).tolist()) == 1
