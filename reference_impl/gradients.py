"""Gradients of Conv2D with respect to its input, kernel and bias, by the same loop and certificate.

Each is a correlation with other index vectors:

* kernel: taps and pixels change places, ``dk[k, f] = sum_m x[tap[k] + base[m]] dy[m, f]``;
* bias: a sum over the pixels, ``db[f] = sum_m 1 * dy[m, f]``;
* input: an input pixel is read by one tap in `strides` along each axis, and these taps are the same
  for all pixels of one remainder modulo the strides. Each remainder is a correlation of the padded
  upstream gradient with those taps of the kernel, reversed.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reference_impl.certificate import certified
from reference_impl.correlation import Correlation
from reference_impl.dtypes import common_format, format_of
from reference_impl.geometry import Geometry, Pair, outer_sum


def input_gradient(
    upstream: ArrayLike,
    kernel: ArrayLike,
    input_shape: tuple[int, int, int, int],
    *,
    strides: Pair = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> NDArray[Any]:
    """Gradient with respect to an input of `input_shape`, correctly rounded, in its layout.

    `upstream` is the gradient with respect to the result and has its shape. Arguments, dtypes and
    errors as for `reference_impl.conv2d`. An input element that no window reads has gradient +0.
    """
    upstream, kernel = np.asarray(upstream), np.asarray(kernel)
    g = Geometry.of(
        input_shape,
        kernel.shape,
        strides=strides,
        padding=padding,
        data_format=data_format,
        dilation_rate=dilation_rate,
        groups=groups,
    )
    fmt = common_format(upstream=upstream, kernel=kernel)
    dy = _channels_last(upstream, g)
    reach = [
        (k - 1) * d // s for k, d, s in zip(g.kernel_size, g.dilation_rate, g.strides, strict=True)
    ]
    below = [-(-(n + p) // s) for n, (p, _), s in zip(g.size, g.pads, g.strides, strict=True)]
    spare = [max(b - o, 0) for b, o in zip(below, g.output, strict=True)]
    wide = np.pad(dy, ((0, 0), (reach[0], spare[0]), (reach[1], spare[1]), (0, 0)))
    _, rows, columns, _ = wide.shape
    step = (rows * columns * g.filters, columns * g.filters, g.filters)
    flat = wide.astype(np.float64).reshape(-1)
    weights = kernel.astype(np.float64)
    result = np.zeros((g.batch, *g.size, g.channels), fmt.dtype)
    depth, per_group = g.channels // g.groups, g.filters // g.groups
    axes = zip(g.kernel_size, g.dilation_rate, g.strides, g.size, g.pads, strict=True)
    for vertical, horizontal in product(*(list(_remainders(*axis)) for axis in axes)):
        (h, i, top, up), (w, j, left, back) = vertical, horizontal
        if not h.size or not w.size or not i.size or not j.size:
            continue
        base = outer_sum(
            np.arange(g.batch) * step[0],
            (top + reach[0]) * step[1],
            (left + reach[1]) * step[2],
        )
        for group in range(g.groups):
            tap = outer_sum(
                -up * step[1],
                -back * step[2],
                group * per_group + np.arange(per_group),
            )
            own = weights[i][:, j][..., group * per_group : (group + 1) * per_group]
            taps = own.transpose(0, 1, 3, 2).reshape(-1, depth)
            value, _ = certified(Correlation(flat, base, tap, taps), fmt)
            part = value.reshape(g.batch, h.size, w.size, depth)
            result[:, h[:, None], w, group * depth : (group + 1) * depth] = part
    if g.data_format == "channels_first":
        result = np.ascontiguousarray(result.transpose(0, 3, 1, 2))
    return result


def kernel_gradient(
    upstream: ArrayLike,
    x: ArrayLike,
    kernel_size: Pair,
    *,
    strides: Pair = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> NDArray[Any]:
    """Gradient with respect to the kernel, (kh, kw, C // groups, filters), correctly rounded.

    `upstream` and `x` have one dtype, which is that of the result. A padded position contributes
    ``0 * upstream``. Arguments and errors as for `reference_impl.conv2d`.
    """
    upstream, x = np.asarray(upstream), np.asarray(x)
    first = data_format == "channels_first"
    filters, channels = upstream.shape[1 if first else 3], x.shape[1 if first else 3]
    g = Geometry.of(
        x.shape,
        (*kernel_size, channels // groups, filters),
        strides=strides,
        padding=padding,
        data_format=data_format,
        dilation_rate=dilation_rate,
        groups=groups,
    )
    fmt = common_format(upstream=upstream, x=x)
    dy = _channels_last(upstream, g).astype(np.float64).reshape(-1, g.filters)
    flat = g.padded(x).reshape(-1)
    base, tap = g.indices()
    parts = [
        certified(Correlation(flat, tap + group * g.group_step(), base, dy[:, own]), fmt)[0]
        for group, own in enumerate(g.filters_of_groups())
    ]
    return np.concatenate(parts, axis=1).reshape(*kernel_size, -1, g.filters)


def bias_gradient(upstream: ArrayLike, *, data_format: str = "channels_last") -> NDArray[Any]:
    """Gradient with respect to the bias, (filters,): the correctly rounded sum of `upstream`."""
    upstream = np.asarray(upstream)
    channels = 3 if data_format == "channels_last" else 1
    dy = np.moveaxis(upstream, channels, -1).reshape(-1, upstream.shape[channels])
    one, start = np.ones(1), np.zeros(1, np.intp)
    every = np.zeros(len(dy), np.intp)
    value, _ = certified(
        Correlation(one, start, every, dy.astype(np.float64)), format_of(upstream.dtype)
    )
    total: NDArray[Any] = value[0]
    return total


def _channels_last(upstream: NDArray[Any], g: Geometry) -> NDArray[Any]:
    if upstream.shape != g.output_shape:
        raise ValueError(f"upstream must have shape {g.output_shape}, not {upstream.shape}")
    return upstream.transpose(0, 2, 3, 1) if g.data_format == "channels_first" else upstream


def _remainders(k: int, d: int, s: int, n: int, pads: Pair) -> Any:
    """For each remainder modulo the stride along one axis: the input positions that have it, the
    taps that reach them, the output position of tap offset 0, and how far back each tap's is.
    """
    position = np.arange(n) + pads[0]
    offset = np.arange(k) * d
    for remainder in range(s):
        h = np.flatnonzero(position % s == remainder)
        i = np.flatnonzero(offset % s == remainder)
        yield h, i, position[h] // s, offset[i] // s
