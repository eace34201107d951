"""A convolution as the products it sums, so that a test can sum them in any way it likes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.data import Arrays

Array = NDArray[Any]


@dataclass(frozen=True)
class Patches:
    """What each output element reads, one row an element, in float64.

    Attributes:
        read, weights: (elements, taps); their products are what is summed.
        bias: (elements,), zeros without a bias.
        case: whose elements these are.
    """

    read: Array
    weights: Array
    bias: Array
    case: Case

    @property
    def products(self) -> Array:
        return self.read * self.weights

    def arranged(self, values: Array) -> Array:
        """One value for each element as the array that the case returns."""
        g = self.case.geometry
        result = values.reshape(g.batch, *g.output, g.filters)
        first = self.case.geometry.data_format == "channels_first"
        return result.transpose(0, 3, 1, 2) if first else result


def patches(case: Case, data: Arrays) -> Patches:
    g = case.geometry
    x, kernel = data.x.astype(np.float64), data.kernel.astype(np.float64)
    x = x.transpose(0, 2, 3, 1) if case.geometry.data_format == "channels_first" else x
    x = np.pad(x, ((0, 0), *g.pads, (0, 0)))
    (kh, kw, depth, filters), (sh, sw), (dh, dw) = kernel.shape, g.strides, g.dilation_rate
    read = np.empty((g.batch, *g.output, filters, g.taps))
    for r, c in np.ndindex(g.output):
        rows = slice(r * sh, r * sh + (kh - 1) * dh + 1, dh)
        columns = slice(c * sw, c * sw + (kw - 1) * dw + 1, dw)
        for f in range(filters):
            start = f // (filters // g.groups) * depth
            window = x[:, rows, columns, start : start + depth]
            read[:, r, c, f] = window.reshape(g.batch, g.taps)
    weights = np.broadcast_to(kernel.reshape(g.taps, filters).T, read.shape)
    bias = np.zeros(filters) if data.bias is None else data.bias.astype(np.float64)
    return Patches(
        read=read.reshape(-1, g.taps),
        weights=weights.reshape(-1, g.taps),
        bias=np.broadcast_to(bias, read.shape[:-1]).reshape(-1),
        case=case,
    )


def is_small(case: Case) -> bool:
    """Cheap enough to be written out in products."""
    g = case.geometry
    return int(np.prod(g.output_shape)) * g.taps <= 20000 and np.prod(g.output) <= 100


def in_sequence(products: Array, dtype: Any, start: Array | None = None) -> Array:
    """Sums of the rows, from left to right, rounded to `dtype` after every step."""
    total = np.zeros(len(products), dtype) if start is None else start.astype(dtype)
    for column in products.T:
        total = (total + column.astype(dtype)).astype(dtype)
    return total


def in_pairs(products: Array, dtype: Any) -> Array:
    """Sums of the rows as a balanced tree, rounded to `dtype` after every step."""
    terms = products.astype(dtype)
    while terms.shape[1] > 1:
        half = terms.shape[1] // 2
        added = (terms[:, :half] + terms[:, half : 2 * half]).astype(dtype)
        terms = np.concatenate([added, terms[:, 2 * half :]], axis=1)
    return terms[:, 0]
