"""Matrix products: what nearly all the time goes into.

A block of up to 4 rows and `PANEL` columns is kept in registers while its sums are made, each by
one chain of fused multiplications and additions over the depth. Arrays are float32, flat and
contiguous; `_at` is where a block begins in one, `_step` is how far a matrix's rows are apart.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from model.kernels.compiling import PANEL, compiled

Floats = NDArray[np.float32]
Packed = NDArray[np.float32] | NDArray[np.uint16]

LANES = 16
ROWS = 4
WHOLE, VECTOR = ir.IntType(64), ir.VectorType(ir.FloatType(), LANES)


def padded(columns: int) -> int:
    """`columns` rounded up to whole panels, as every row here is laid out."""
    return -(-columns // PANEL) * PANEL


def pack(weight: Floats, *, halves: bool = False) -> Packed:
    """A layer's weight (out, in) -> (panels, in * PANEL): columns that are used together adjoin.

    With `halves`, in half precision: the bits of float16 as integers.
    """
    out, depth = weight.shape
    wide = np.zeros((padded(out), depth), np.float32)
    wide[:out] = weight
    panels = wide.reshape(-1, PANEL, depth).transpose(0, 2, 1)
    packed = np.ascontiguousarray(panels).reshape(-1, depth * PANEL)
    return packed.astype(np.float16).view(np.uint16) if halves else packed


def _block(rows: int, columns: int) -> Callable[..., None]:
    """y (rows, columns) += x (rows, depth) @ w (depth, columns), in registers."""

    @intrinsic
    def block(  # numba counts the arguments
        _typing: Any, x: Any, x_at: Any, x_step: Any, w: Any, w_at: Any, w_step: Any,
        depth: Any, y: Any, y_at: Any, y_step: Any,
    ) -> Any:  # fmt: skip
        signature = types.void(x, x_at, x_step, w, w_at, w_step, depth, y, y_at, y_step)
        return signature, partial(_emit, rows, columns // LANES)

    multiply: Callable[..., None] = block
    return multiply


def _emit(
    rows: int, vectors: int, context: Any, b: ir.IRBuilder, signature: Any, arguments: Any
) -> Any:
    """Write the block's code: load y, loop over the depth, store y."""
    x, x_at, x_step, w, w_at, w_step, depth, y, y_at, y_step = arguments
    x, w, y = (
        context.make_array(signature.args[i])(context, b, array).data
        for i, array in ((0, x), (3, w), (7, y))
    )
    y_places = [
        place
        for r in range(rows)
        for place in _lanes(b, y, b.add(y_at, b.mul(WHOLE(r), y_step)), vectors)
    ]
    starts = [b.load(place, align=4) for place in y_places]
    entry, loop, done = b.block, b.append_basic_block(), b.append_basic_block()
    b.cbranch(b.icmp_signed(">", depth, WHOLE(0)), loop, done)

    b.position_at_end(loop)
    k, sums = b.phi(WHOLE), [b.phi(VECTOR) for _ in starts]
    w_places = _lanes(b, w, b.add(w_at, b.mul(k, w_step)), vectors)
    of_w = [_as_floats(b, b.load(place, align=2)) for place in w_places]
    x_places = [b.gep(x, [b.add(b.add(x_at, b.mul(WHOLE(r), x_step)), k)]) for r in range(rows)]
    of_x = [_in_all_lanes(b, b.load(place)) for place in x_places]
    fma = _fused(b)
    new = [
        b.call(fma, [of_x[i // vectors], of_w[i % vectors], each]) for i, each in enumerate(sums)
    ]
    following = b.add(k, WHOLE(1))
    _join(entry, loop, [k, *sums], [WHOLE(0), *starts], [following, *new])
    b.cbranch(b.icmp_signed("<", following, depth), loop, done)

    b.position_at_end(done)
    results = [b.phi(VECTOR) for _ in starts]
    _join(entry, loop, results, starts, new)
    for result, place in zip(results, y_places, strict=True):
        b.store(result, place, align=4)
    return context.get_dummy_value()


def _lanes(b: ir.IRBuilder, array: Any, at: Any, vectors: int) -> list[Any]:
    """Pointers to vectors that adjoin, from element `at` on."""
    first = b.gep(array, [at])
    vector = ir.VectorType(first.type.pointee, LANES).as_pointer()
    return [b.bitcast(b.gep(first, [WHOLE(v * LANES)]), vector) for v in range(vectors)]


def _as_floats(b: ir.IRBuilder, lanes: Any) -> Any:
    """Half precision comes as the integers that numba can hold, and becomes single."""
    if lanes.type == VECTOR:
        return lanes
    halves = b.bitcast(lanes, ir.VectorType(ir.HalfType(), LANES))
    return b.fpext(halves, VECTOR)


def _join(entry: Any, loop: Any, values: list[Any], first: list[Any], then: list[Any]) -> None:
    """What `values` are behind the entry, and behind the loop."""
    for value, before, after in zip(values, first, then, strict=True):
        value.add_incoming(before, entry)
        value.add_incoming(after, loop)


def _fused(b: ir.IRBuilder) -> Any:
    """x * y + z of vectors, rounded once."""
    declare: Any = cgutils.get_or_insert_function
    return declare(b.module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fma.v{LANES}f32")


def _in_all_lanes(b: ir.IRBuilder, value: Any) -> Any:
    lane, nothing = ir.IntType(32), ir.Constant(VECTOR, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(lane, LANES), [0] * LANES)
    return b.shuffle_vector(b.insert_element(nothing, value, lane(0)), nothing, zeros)


_wide, _wide_row = _block(ROWS, PANEL), _block(1, PANEL)
_narrow, _narrow_row = _block(ROWS, LANES), _block(1, LANES)


@compiled
def linear(x: Floats, x_step: int, rows: int, w: Packed, y: Floats, y_step: int) -> None:
    """y (rows, out) += x (rows, depth) @ w, for a `w` from `pack`."""
    depth = w.shape[1] // PANEL
    for panel in range(w.shape[0]):
        w_at, y_at = panel * depth * PANEL, panel * PANEL
        r = 0
        while r + ROWS <= rows:
            _wide(x, r * x_step, x_step, w, w_at, PANEL, depth, y, r * y_step + y_at, y_step)
            r += ROWS
        while r < rows:
            _wide_row(x, r * x_step, x_step, w, w_at, PANEL, depth, y, r * y_step + y_at, y_step)
            r += 1


@compiled
def product(
    x: Floats,
    x_step: int,
    rows: int,
    depth: int,
    w: Floats,
    w_step: int,
    columns: int,
    y: Floats,
    y_step: int,
) -> None:
    """y (rows, columns) += x (rows, depth) @ w (depth, columns), for any matrices, at most 4 rows.

    Columns are rounded up to whole lanes: what lies behind them in w and y must be there.
    """
    c = 0
    while c < columns:
        if columns - c > PANEL - LANES:
            if rows == ROWS:
                _wide(x, 0, x_step, w, c, w_step, depth, y, c, y_step)
            else:
                for r in range(rows):
                    _wide_row(x, r * x_step, x_step, w, c, w_step, depth, y, r * y_step + c, y_step)
            c += PANEL
        else:
            if rows == ROWS:
                _narrow(x, 0, x_step, w, c, w_step, depth, y, c, y_step)
            else:
                for r in range(rows):
                    x_at, y_at = r * x_step, r * y_step + c
                    _narrow_row(x, x_at, x_step, w, c, w_step, depth, y, y_at, y_step)
            c += LANES
