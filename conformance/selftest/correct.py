"""Correct implementations that round differently: none of them may fail."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference_impl
from reference_impl.dtypes import format_of
from reference_impl.geometry import Geometry, Pair
from reference_impl.rounding import round_to

Array = NDArray[Any]


def _windows(x: Array, geometry: Geometry) -> Callable[[int, int], Array]:
    """The padded input that each tap meets, channels last, by the place of the tap."""
    (top, bottom), (left, right) = geometry.pads
    whole = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    (sh, sw), (dh, dw), (height, width) = (
        geometry.strides,
        geometry.dilation_rate,
        geometry.output,
    )

    def met(row: int, column: int) -> Array:
        rows = slice(row * dh, row * dh + (height - 1) * sh + 1, sh)
        columns = slice(column * dw, column * dw + (width - 1) * sw + 1, sw)
        return whole[:, rows, columns]

    return met


def _summed(add: Callable[[Array, Array, Array], Array]) -> Callable[..., Array]:
    """A convolution by tap: `add` gives a sum with the products of an input and a kernel tap."""

    def conv2d(
        x: Array,
        kernel: Array,
        bias: Array | None = None,
        *,
        strides: Pair,
        padding: str,
        data_format: str,
        dilation_rate: Pair,
        groups: int,
    ) -> Array:
        geometry = Geometry.of(
            x.shape,
            kernel.shape,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
        )
        wide = np.float64 if x.dtype == np.float64 else np.float32
        first = data_format == "channels_first"
        met = _windows((np.moveaxis(x, 1, -1) if first else x).astype(wide), geometry)
        weights = kernel.astype(wide)
        n, (height, width) = geometry.batch, geometry.output
        depth, filters = kernel.shape[2], kernel.shape[3] // groups
        total = np.zeros((n, height, width, kernel.shape[3]), wide)
        with np.errstate(all="ignore"):
            for row, column in product(range(kernel.shape[0]), range(kernel.shape[1])):
                window, tap = met(row, column), weights[row, column]
                for group in range(groups):
                    own = slice(group * filters, (group + 1) * filters)
                    channels = slice(group * depth, (group + 1) * depth)
                    total[..., own] = add(total[..., own], window[..., channels], tap[:, own])
            if bias is not None:
                total = total + bias.astype(wide)
        result = np.moveaxis(total, -1, 1) if first else total
        return round_to(np.ascontiguousarray(result, np.float64), format_of(x.dtype))

    return conv2d


def _product(total: Array, window: Array, tap: Array) -> Array:
    summed: Array = total + window @ tap
    return summed


def _one_by_one(total: Array, window: Array, tap: Array) -> Array:
    for channel in range(tap.shape[0]):
        total = total + window[..., channel, None] * tap[channel]
    return total


CORRECT: dict[str, Any] = {
    "the reference": reference_impl.conv2d,
    "the reference as a layer": reference_impl.Conv2D,
    "matrix products in float32": _summed(_product),
    "one product after another in float32": _summed(_one_by_one),
}
