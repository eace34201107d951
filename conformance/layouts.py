"""How arrays lie in memory, as people pass them: `view`, `kernel_view` and `bias_view` of a case.

sliced
    every second element of an array of canaries
cropped
    the middle of an array of canaries, so that there are gaps between rows and between pixels
split
    the second half of the channels of an input or of the filters of a kernel, all else in one
    piece: samples in channels_first are dense, and what lies between them is not theirs
transposed, fortran, oihw, permuted
    axes in another order: all reversed (an input, a kernel), that of PyTorch's weights, that of the
    other data_format
reversed
    both spatial axes, or the bias, run backwards
readonly
    may not be written to
broadcast
    one sample, filter or bias stands for all, by a stride of 0; of a single sample, one row
unaligned
    begins one element behind an address that is a multiple of 16
relaxed
    axes of size 1 have strides that lead nowhere: 0 as a new axis, others as those of a slice
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Laid = tuple[Array, Array]  # the array, and the one that owns its memory
Layout = Callable[[Array, "Axes"], Laid]

CANARY = 77


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What layouts do to which axes of an array.

    Attributes:
        sliced, reversed: axes that are; what is sliced may be cropped instead.
        split: the axis that is split in halves.
        repeated: the axis that a broadcast repeats.
        orders: the axes as they lie in memory, outermost first, by layout.
    """

    sliced: tuple[int, ...]
    reversed: tuple[int, ...]
    split: int
    repeated: int
    orders: dict[str, tuple[int, ...]]


def input_axes(batch: int, spatial: tuple[int, int]) -> Axes:
    """Those of an input; canaries between samples would be no input of any size."""
    last = spatial == (1, 2)
    permuted = (0, 3, 1, 2) if last else (0, 2, 3, 1)
    return Axes(
        sliced=(1, 2, 3),
        reversed=spatial,
        split=3 if last else 1,
        repeated=0 if batch > 1 else spatial[0],
        orders={"transposed": (3, 2, 1, 0), "permuted": permuted},
    )


KERNEL_AXES = Axes(
    sliced=(0, 1, 2, 3),
    reversed=(0, 1),
    split=3,
    repeated=3,
    orders={"oihw": (3, 2, 0, 1), "fortran": (3, 2, 1, 0)},
)
BIAS_AXES = Axes(sliced=(0,), reversed=(0,), split=0, repeated=0, orders={})


def laid_out(values: Array, view: str | None, axes: Axes) -> Laid:
    """A copy of `values` that lies in memory as `view` says, and the array that owns the memory.

    `broadcast` changes values: it keeps those of the first of its axis. What the owner holds beside
    the array are canaries.
    """
    if view in axes.orders:
        order = axes.orders[view]
        owner = np.ascontiguousarray(values.transpose(order))
        return owner.transpose(np.argsort(order)), owner
    return _LAYOUTS[view](values, axes)


def _plain(values: Array, axes: Axes) -> Laid:
    owner = np.array(values, order="C")
    return owner, owner


def _sliced(values: Array, axes: Axes) -> Laid:
    parts = [slice(1, None, 2) if n in axes.sliced else slice(None) for n in range(values.ndim)]
    sizes = [2 * n + 1 if k in axes.sliced else n for k, n in enumerate(values.shape)]
    owner = np.full(sizes, CANARY, values.dtype)
    array = owner[tuple(parts)]
    array[...] = values
    return array, owner


def _cropped(values: Array, axes: Axes) -> Laid:
    parts = [slice(1, -1) if n in axes.sliced else slice(None) for n in range(values.ndim)]
    sizes = [n + 2 if k in axes.sliced else n for k, n in enumerate(values.shape)]
    owner = np.full(sizes, CANARY, values.dtype)
    array = owner[tuple(parts)]
    array[...] = values
    return array, owner


def _split(values: Array, axes: Axes) -> Laid:
    half = values.shape[axes.split]
    sizes = [2 * n if k == axes.split else n for k, n in enumerate(values.shape)]
    owner = np.full(sizes, CANARY, values.dtype)
    array = owner[(slice(None),) * axes.split + (slice(half, None),)]
    array[...] = values
    return array, owner


def _reversed(values: Array, axes: Axes) -> Laid:
    owner = np.ascontiguousarray(np.flip(values, axes.reversed))
    return np.flip(owner, axes.reversed), owner


def _readonly(values: Array, axes: Axes) -> Laid:
    owner = np.array(values, order="C")
    array = owner[...]
    array.flags.writeable = False
    return array, owner


def _broadcast(values: Array, axes: Axes) -> Laid:
    first = slice(None, 1)
    owner = np.array(values[(slice(None),) * axes.repeated + (first,)], order="C")
    return np.broadcast_to(owner, values.shape), owner


def _unaligned(values: Array, axes: Axes) -> Laid:
    owner = np.full(values.size + 2, CANARY, values.dtype)
    array = owner[1:-1].reshape(values.shape)
    array[...] = values
    return array, owner


def _relaxed(values: Array, axes: Axes) -> Laid:
    owner = np.array(values, order="C")
    if owner.size == 0:
        return owner, owner
    bits = owner.view(f"u{owner.itemsize}")  # NumPy lends no buffer of bfloat16
    strides = list(owner.strides)
    ones = [axis for axis, n in enumerate(owner.shape) if n == 1]
    for axis in ones:
        strides[axis] = 0 if axis == ones[0] else 3 * strides[axis] + owner.itemsize
    return np.ndarray(owner.shape, bits.dtype, bits, 0, strides).view(owner.dtype), owner


_LAYOUTS: dict[str | None, Layout] = {
    None: _plain,
    "sliced": _sliced,
    "cropped": _cropped,
    "split": _split,
    "reversed": _reversed,
    "readonly": _readonly,
    "broadcast": _broadcast,
    "unaligned": _unaligned,
    "relaxed": _relaxed,
}
