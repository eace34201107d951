"""Conv2D as a function: the reference that everything else is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reference_impl import _kernel
from reference_impl.dtypes import format_of
from reference_impl.geometry import Geometry, Pair, channel_axis
from reference_impl.rounding import round_to


def conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: Pair = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> NDArray[Any]:
    """Cross-correlation of `x` with `kernel`, plus `bias`, as Keras' Conv2D defines it.

    Products and sums are float64; the total is rounded once to the dtype of `x`. A padded position
    contributes ``0 * weight``, so an infinite or NaN weight over the padding gives NaN.

    Args:
        x: (N, H, W, C), or (N, C, H, W) with ``data_format="channels_first"``; float16, bfloat16,
            float32 or float64.
        kernel: (kh, kw, C // groups, filters) in the dtype of `x`.
        bias: (filters,) in the dtype of `x`, or None.
        strides, dilation_rate: (vertical, horizontal), at least 1. Keras refuses both above 1 at
            once; here that is defined as it is for any correlation.
        padding: ``valid`` or ``same``; an odd total of ``same`` goes to the bottom and right.
        groups: the channels and the filters are split into this many independent convolutions.

    Returns:
        (N, OH, OW, filters) or (N, filters, OH, OW), in the dtype of `x`.

    Raises:
        ValueError: shapes do not fit, a dtype is not a float named above, or the output is empty.
    """
    x = np.asarray(x)
    result = accumulate(
        x,
        kernel,
        bias,
        strides=strides,
        padding=padding,
        data_format=data_format,
        dilation_rate=dilation_rate,
        groups=groups,
    )
    return round_to(result.value, format_of(x.dtype))


@dataclass(frozen=True, slots=True)
class Accumulated:
    """A convolution before its result is rounded, with what bounds its error.

    Attributes:
        value: float64, the sum of products plus bias, in the layout of the result.
        magnitude: float64, ``S = sum |x||w| + |b|``, the condition of each sum; None unless asked.
        taps: products summed for each element.
    """

    value: NDArray[np.float64]
    magnitude: NDArray[np.float64] | None
    taps: int


def accumulate(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: Pair = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
    magnitude: bool = False,
) -> Accumulated:
    """`conv2d` without the last rounding; `magnitude` asks for ``sum |x||w| + |b|`` as well.

    Arguments and errors as for `conv2d`. Each element differs from the exact sum by at most
    ``(taps + 1) * 2**-53 * magnitude`` (Jeannerod and Rump, 2013).
    """
    x, kernel = np.asarray(x), np.asarray(kernel)
    format_of(x.dtype), format_of(kernel.dtype)
    geometry = Geometry.of(
        x.shape,
        kernel.shape,
        strides=strides,
        padding=padding,
        data_format=data_format,
        dilation_rate=dilation_rate,
        groups=groups,
    )
    loop = _Loop.of(geometry)
    wide, weights = geometry.padded(x), kernel.astype(np.float64)
    offset = None if bias is None else _along_channels(bias, geometry)
    value = loop.run(wide, weights, offset)
    if not magnitude:
        return Accumulated(value, None, geometry.taps)
    total = loop.run(np.abs(wide), np.abs(weights), None if offset is None else np.abs(offset))
    return Accumulated(value, total, geometry.taps)


@dataclass(frozen=True, slots=True)
class _Loop:
    """The index vectors of one geometry, padded to whole tiles."""

    geometry: Geometry
    base: NDArray[np.intp]
    tap: NDArray[np.intp]
    pixels: int

    @classmethod
    def of(cls, geometry: Geometry) -> _Loop:
        base, tap = geometry.indices()
        whole = _round_up(base.size, _kernel.TILE_PIXELS)
        if base.size:
            base = np.concatenate([base, np.full(whole - base.size, base[-1])])
        return cls(geometry, base, tap, geometry.batch * geometry.output[0] * geometry.output[1])

    def run(
        self,
        wide: NDArray[np.float64],
        weights: NDArray[np.float64],
        offset: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        """The sums for padded input `wide` and `weights`, in the layout of the result."""
        g = self.geometry
        depth = g.filters // g.groups
        flat = wide.reshape(-1)
        packed = _pack(weights.reshape(g.taps, g.groups, depth))
        tile = np.empty((self.base.size, packed.shape[1] * _kernel.LANES))
        sums = np.empty((self.pixels, g.filters))
        for group in range(g.groups):
            _kernel.correlate(
                flat, self.base + group * g.group_step(), self.tap, packed[group], tile
            )
            sums[:, group * depth : (group + 1) * depth] = tile[: self.pixels, :depth]
        result = sums.reshape(g.batch, *g.output, g.filters)
        if g.data_format == "channels_first":
            result = np.ascontiguousarray(result.transpose(0, 3, 1, 2))
        if offset is not None:
            result += offset
        return result


def _pack(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(taps, groups, filters) as (groups, tiles, taps, lanes), filters padded with zeros."""
    taps, groups, depth = weights.shape
    tiles = _round_up(depth, _kernel.LANES) // _kernel.LANES
    packed = np.zeros((groups, taps, tiles * _kernel.LANES))
    packed[:, :, :depth] = weights.transpose(1, 0, 2)
    split = packed.reshape(groups, taps, tiles, _kernel.LANES)
    return np.ascontiguousarray(split.transpose(0, 2, 1, 3))


def _along_channels(bias: ArrayLike, geometry: Geometry) -> NDArray[np.float64]:
    values = np.asarray(bias)
    if values.shape != (geometry.filters,):
        raise ValueError(f"bias must have shape ({geometry.filters},), not {values.shape}")
    shape = [1, 1, 1, 1]
    shape[channel_axis(geometry.data_format)] = geometry.filters
    return values.astype(np.float64).reshape(shape)


def _round_up(count: int, step: int) -> int:
    return -(-count // step) * step


def active_path() -> str:
    """Which build of the loop runs on this processor: ``avx2+fma`` or ``portable``."""
    return _kernel.active_path()
