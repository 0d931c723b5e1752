"""The parts of the compiled decoding, against numpy."""

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from model.kernels.block import linear, pack, padded, product
from model.kernels.compiling import PANEL
from model.kernels.elementwise import activate, exponential, layer_norm, rms_norm


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(1, 70), st.integers(1, 150))
def test_linear_adds_a_product_of_any_size(rows: int, depth: int, out: int) -> None:
    x, weight = numbers(rows, depth), numbers(out, depth, seed=1)
    y = np.full((rows, padded(out)), 2, np.float32)
    linear(x.reshape(-1), depth, rows, pack(weight), y.reshape(-1), y.shape[1])
    np.testing.assert_allclose(y[:, :out], 2 + x @ weight.T, atol=1e-4)
    assert (y[:, out:] == 2).all()


@pytest.mark.parametrize("out", [3, 64, 65, 192])
def test_a_row_is_the_same_whatever_rows_are_beside_it(out: int) -> None:
    x, w = numbers(9, 33), pack(numbers(out, 33, seed=1))
    together = np.zeros((9, padded(out)), np.float32)
    linear(x.reshape(-1), 33, 9, w, together.reshape(-1), padded(out))
    for r in range(9):
        alone = np.zeros(padded(out), np.float32)
        linear(x[r].copy(), 33, 1, w, alone, padded(out))
        assert (alone == together[r]).all()


@settings(max_examples=40)
@given(st.integers(1, 4), st.integers(0, 40), st.integers(1, 100), st.integers(0, 7))
def test_product_takes_matrices_out_of_larger_ones(
    rows: int, depth: int, columns: int, at: int
) -> None:
    x, w = numbers(5, 60), numbers(50, 120 + PANEL, seed=1)
    y = np.zeros((4, 120 + PANEL), np.float32)
    product(
        x.reshape(-1)[at:], 60, rows, depth, w.reshape(-1)[at:], w.shape[1], columns,
        y.reshape(-1), y.shape[1],
    )  # fmt: skip
    expected = x[:rows, at : at + depth] @ w[:depth, at : at + columns]
    np.testing.assert_allclose(y[:rows, :columns], expected, atol=1e-4)
    assert (y[rows:] == 0).all()


@given(st.floats(-87, 88, width=32))
def test_exponential_is_within_a_few_units_of_the_last_place(x: float) -> None:
    assert math.isclose(exponential(np.float32(x)), math.exp(x), rel_tol=4e-7)


def test_exponential_of_what_is_far_below_is_next_to_nothing() -> None:
    assert 0 <= exponential(np.float32(-1e30)) < 2e-38
    assert exponential(np.float32(0)) == 1


def test_norms() -> None:
    x, weight, bias = numbers(37), numbers(37, seed=1), numbers(37, seed=2)
    y = np.empty(37, np.float32)
    layer_norm(x, weight, bias, y)
    expected = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weight + bias
    np.testing.assert_allclose(y, expected, atol=1e-5)
    rms_norm(x, 37, x)
    assert np.sqrt((x**2).mean()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", range(5))
def test_activations_are_their_definitions_in_float64(kind: int) -> None:
    x = np.linspace(-100, 100, 801).astype(np.float32)
    z, gated = x.astype(np.float64), numbers(801).astype(np.float64)
    expected = (
        np.maximum(z, 0),
        0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
        np.maximum(z, 0) ** 2,
        z / (1 + np.exp(-z)) * gated,
        0.5 * z * (1 + scipy.special.erf(z / np.sqrt(2))),
    )[kind]
    both = np.concatenate([x, gated.astype(np.float32)])
    activate(kind, both, 801)
    np.testing.assert_allclose(both[:801], expected, rtol=2e-6, atol=1e-6)
