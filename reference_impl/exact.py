"""A second, slow oracle: Conv2D in rational arithmetic, straight from its definition.

It shares no code with the fast path: plain loops over the output and the window, `Fraction` sums,
and a rounding written for any binary format. Use it on small cases.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

# name: (bits of the significand, exponent of the smallest normal, exponent of the largest)
_FORMATS = {
    "float16": (11, -14, 15),
    "bfloat16": (8, -126, 127),
    "float32": (24, -126, 127),
    "float64": (53, -1022, 1023),
}


Index = tuple[int, int, int, int]
Pair = tuple[int, int]
Terms = list[tuple[float, float]]


def conv2d(
    x: NDArray[Any],
    kernel: NDArray[Any],
    bias: NDArray[Any] | None = None,
    *,
    strides: Pair = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> NDArray[Any]:
    """As `reference_impl.conv2d`, by exact sums; NaN and infinities as there."""
    first = data_format == "channels_first"
    batch, height, width, _ = np.moveaxis(x, 1, -1).shape if first else x.shape
    rows, columns, _, filters = kernel.shape
    _, out_height = _axis(height, rows, strides[0], dilation_rate[0], padding)
    _, out_width = _axis(width, columns, strides[1], dilation_rate[1], padding)
    spatial = (out_height, out_width)
    result = np.empty((batch, filters, *spatial) if first else (batch, *spatial, filters), x.dtype)
    for index in np.ndindex(*result.shape):
        products = terms(
            x,
            kernel,
            bias,
            index,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
        )
        result[index] = sum_of_products(products, x.dtype.name)
    return result


def terms(
    x: NDArray[Any],
    kernel: NDArray[Any],
    bias: NDArray[Any] | None,
    index: Index,
    *,
    strides: Pair = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> Terms:
    """The factors of every product summed for the element `index` of the result, bias included."""
    first = data_format == "channels_first"
    n, oh, ow, f = (index[0], index[2], index[3], index[1]) if first else index
    image = np.moveaxis(x[n], 0, -1) if first else x[n]
    height, width, _ = image.shape
    rows, columns, depth, filters = kernel.shape
    top, _ = _axis(height, rows, strides[0], dilation_rate[0], padding)
    left, _ = _axis(width, columns, strides[1], dilation_rate[1], padding)
    channel = f // (filters // groups) * depth
    found = [] if bias is None else [(1.0, float(bias[f]))]
    for i, j, c in np.ndindex(rows, columns, depth):
        h = oh * strides[0] + i * dilation_rate[0] - top
        w = ow * strides[1] + j * dilation_rate[1] - left
        inside = 0 <= h < height and 0 <= w < width
        value = float(image[h, w, channel + c]) if inside else 0.0
        found.append((value, float(kernel[i, j, c, f])))
    return found


def exact_sum(products: Terms) -> Fraction:
    """The sum of finite products, without rounding."""
    return sum((Fraction(a) * Fraction(b) for a, b in products), Fraction(0))


def _axis(size: int, taps: int, stride: int, dilation: int, padding: str) -> tuple[int, int]:
    """(zeros before the input, length of the output) along one axis."""
    extent = 1 + (taps - 1) * dilation
    if padding == "valid":
        return 0, len(range(0, size - extent + 1, stride))
    length = math.ceil(size / stride)
    return max(0, (length - 1) * stride + extent - size) // 2, length


def sum_of_products(products: Terms, dtype: str) -> Any:
    """The exact sum of ``a * b`` over `products`, rounded once to `dtype`, as a scalar of it.

    A term with a NaN or infinite factor decides: NaN if any is NaN or two are opposite infinities.
    """
    special = [a * b for a, b in products if not (math.isfinite(a) and math.isfinite(b))]
    if special:
        scalar = math.nan if len(set(map(str, special))) > 1 else special[0]
    else:
        scalar = rounded(exact_sum(products), dtype)
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype).type
    return kind(scalar)  # exact: the scalar is a number of the format


def rounded(value: Fraction, dtype: str) -> float:
    """`value` rounded to the nearest number of `dtype`, ties to even, overflow to infinity."""
    precision, smallest, largest = _FORMATS[dtype]
    if not value:
        return 0.0
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if Fraction(2) ** exponent > size:
        exponent -= 1
    step = Fraction(2) ** (max(exponent, smallest) - precision + 1)
    count = round(size / step)  # Fraction rounds half to even
    nearest = math.inf if count * step >= Fraction(2) ** (largest + 1) else float(count * step)
    return nearest if value > 0 else -nearest
