"""Norms and nonlinearities of one row at a time; all arrays float32."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from model.kernels.compiling import compiled

Floats = NDArray[np.float32]

LOG2_E, LN_2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
LAYER_NORM_EPSILON = 1e-5  # torch's defaults
RMS_NORM_EPSILON = float(np.finfo(np.float32).eps)


@intrinsic
def _as_float(_typing: Any, bits: Any) -> Any:  # numba looks at the argument's type itself
    def emit(_context: Any, b: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return b.bitcast(arguments[0], ir.FloatType())

    return types.float32(bits), emit


_from_bits: Any = _as_float  # the float32 that an int32 is the bits of


@compiled
def exponential(x: np.float32) -> np.float32:
    """e to the power of x <= 88, to 4 parts in ten million; loops of it become vectors.

    x is split in a whole number of ln 2, which becomes the exponent, and a rest of at most half of
    that, of which a Taylor series is taken. What is below e to the power of -87 counts as that.
    """
    x = max(x, np.float32(-87))
    whole = np.floor(x * LOG2_E + np.float32(0.5))
    rest = x - whole * LN_2
    series = np.float32(1 / 5040)
    series = series * rest + np.float32(1 / 720)
    series = series * rest + np.float32(1 / 120)
    series = series * rest + np.float32(1 / 24)
    series = series * rest + np.float32(1 / 6)
    series = series * rest + np.float32(1 / 2)
    series = series * rest + np.float32(1)
    series = series * rest + np.float32(1)
    two_to_whole = _from_bits(np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)))
    return np.float32(series * two_to_whole)


@compiled
def layer_norm(x: Floats, weight: Floats, bias: Floats, y: Floats) -> None:
    """y = the row x, centred and scaled to variance 1, times `weight`, plus `bias`."""
    n = len(weight)
    total = np.float32(0)
    for i in range(n):
        total += x[i]
    mean = total / np.float32(n)
    squares = np.float32(0)
    for i in range(n):
        squares += (x[i] - mean) * (x[i] - mean)
    scale = np.float32(1 / np.sqrt(squares / n + LAYER_NORM_EPSILON))
    for i in range(n):
        y[i] = (x[i] - mean) * scale * weight[i] + bias[i]


@compiled
def rms_norm(x: Floats, n: int, y: Floats) -> None:
    """y = the first `n` of x, scaled to root mean square 1; y may be x."""
    squares = np.float32(0)
    for i in range(n):
        squares += x[i] * x[i]
    scale = np.float32(1 / np.sqrt(squares / n + RMS_NORM_EPSILON))
    for i in range(n):
        y[i] = x[i] * scale


@compiled
def activate(kind: int, x: Floats, width: int) -> None:
    """Apply nonlinearity number `kind` to a row, in place; see `network.ACTIVATIONS`."""
    if kind == 0:
        for i in range(width):
            x[i] = max(x[i], np.float32(0))
    elif kind == 1:  # GELU by tanh(z) = 1 - 2 / (1 + e^2z)
        for i in range(width):
            z = np.float32(1.5957691216057308) * (x[i] + np.float32(0.044715) * x[i] * x[i] * x[i])
            x[i] = x[i] - x[i] / (np.float32(1) + exponential(min(z, np.float32(80))))
    elif kind == 2:
        for i in range(width):
            x[i] = max(x[i], np.float32(0)) * max(x[i], np.float32(0))
    elif kind == 3:  # SwiGLU: the first half gates the second
        values = x[width : 2 * width]
        for i in range(width):
            gate = x[i] / (np.float32(1) + exponential(min(-x[i], np.float32(80))))
            x[i] = gate * values[i]
    else:  # GELU by the error function
        for i in range(width):
            tail = _half_tail(abs(x[i]) * np.float32(0.7071067811865476))
            x[i] = x[i] * (tail if x[i] < 0 else np.float32(1) - tail)


@compiled
def _half_tail(z: np.float32) -> np.float32:
    """(1 - erf z) / 2 for z >= 0, to 1 part in ten million (Abramowitz and Stegun, 7.1.26)."""
    t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * z)
    series = np.float32(1.061405429)
    series = series * t - np.float32(1.453152027)
    series = series * t + np.float32(1.421413741)
    series = series * t - np.float32(0.284496736)
    series = series * t + np.float32(0.254829592)
    return np.float32(np.float32(0.5) * series * t * exponential(-z * z))
