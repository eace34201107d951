"""Sizes, pads and index vectors are those of TensorFlow's formulas and of plain search."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.geometry import (
    Geometry,
    channel_axis,
    effective_size,
    output_shape,
    output_size,
    pads,
    spatial_axes,
)

sizes = st.integers(1, 40)
kernels = st.integers(1, 9)
steps = st.integers(1, 6)
PAIRS = [(1, 1), (2, 1), (1, 3), (3, 2)]


def axis_of_tensorflow(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int, int]:
    """SAME as TensorFlow's documentation of `tf.nn.convolution` writes it: (out, before, after)."""
    extent = kernel + (kernel - 1) * (dilation - 1)
    out = math.ceil(size / stride)
    total = max(extent - stride if size % stride == 0 else extent - size % stride, 0)
    before = total // 2
    return out, before, total - before


def windows_that_fit(size: int, kernel: int, stride: int, dilation: int) -> int:
    """How many windows lie wholly within the input, found by trying."""
    count = 0
    while count * stride + (kernel - 1) * dilation < size:
        count += 1
    return count


def geometry(**changes: Any) -> Geometry:
    given = {
        "input_shape": (2, 5, 7, 3),
        "kernel_shape": (2, 3, 3, 4),
        "strides": (1, 1),
        "padding": "valid",
        "data_format": "channels_last",
        "dilation_rate": (1, 1),
        "groups": 1,
    }
    return Geometry.of(**(given | changes))


@given(sizes, kernels, steps, steps)
def test_same_is_the_formula_of_tensorflow(size: int, kernel: int, stride: int, dilation: int):
    extent = effective_size(kernel, dilation)
    out, before, after = axis_of_tensorflow(size, kernel, stride, dilation)
    assert output_size(size, extent, stride, "same") == out
    assert pads(size, extent, stride, "same") == (before, after)


@given(sizes, kernels, steps, steps)
def test_valid_counts_the_windows_that_fit(size: int, kernel: int, stride: int, dilation: int):
    extent = effective_size(kernel, dilation)
    out = output_size(size, extent, stride, "valid")
    assert max(out, 0) == windows_that_fit(size, kernel, stride, dilation)
    assert pads(size, extent, stride, "valid") == (0, 0)


@given(sizes, kernels, steps, steps)
def test_same_pads_as_little_as_its_size_needs(size: int, kernel: int, stride: int, dilation: int):
    extent = effective_size(kernel, dilation)
    before, after = pads(size, extent, stride, "same")
    out = output_size(size, extent, stride, "same")
    assert 0 <= after - before <= 1
    assert windows_that_fit(before + size + after, kernel, stride, dilation) >= out
    if before + after:
        assert windows_that_fit(before + size + after - 1, kernel, stride, dilation) < out


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "out", "before_after"),
    [
        (5, 3, 1, 1, 5, (1, 1)),
        (5, 2, 1, 1, 5, (0, 1)),
        (6, 3, 2, 1, 3, (0, 1)),
        (7, 3, 2, 1, 4, (1, 1)),
        (4, 1, 2, 1, 2, (0, 0)),
        (5, 3, 1, 3, 5, (3, 3)),
        (2, 8, 1, 1, 2, (3, 4)),
        (5, 1, 4, 1, 2, (0, 0)),
    ],
)
def test_same_pads_that_people_know(
    size: int, kernel: int, stride: int, dilation: int, out: int, before_after: tuple[int, int]
):
    extent = effective_size(kernel, dilation)
    assert output_size(size, extent, stride, "same") == out
    assert pads(size, extent, stride, "same") == before_after


@given(
    st.tuples(sizes, sizes),
    st.tuples(kernels, kernels),
    st.tuples(steps, steps),
    st.tuples(steps, steps),
    st.sampled_from(["channels_last", "channels_first"]),
)
def test_axes_are_independent_of_each_other(size, kernel, stride, dilation, data_format):
    channels_last = data_format == "channels_last"
    shape = (2, *size, 3) if channels_last else (2, 3, *size)
    g = geometry(
        input_shape=shape,
        kernel_shape=(*kernel, 3, 4),
        strides=stride,
        dilation_rate=dilation,
        padding="same",
        data_format=data_format,
    )
    expected = [
        axis_of_tensorflow(*axis) for axis in zip(size, kernel, stride, dilation, strict=True)
    ]
    assert g.output == tuple(out for out, _, _ in expected)
    assert g.pads == tuple((before, after) for _, before, after in expected)
    assert g.output_shape == ((2, *g.output, 4) if channels_last else (2, 4, *g.output))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", PAIRS)
@pytest.mark.parametrize("dilation_rate", PAIRS)
def test_index_vectors_point_at_what_each_window_reads(
    data_format: str, padding: str, strides: tuple[int, int], dilation_rate: tuple[int, int]
):
    """Read through the index vectors, an array of its own positions gives the positions back."""
    n, h, w, groups, depth = 2, 6, 7, 2, 3
    last = data_format == "channels_last"
    x = np.arange(1, n * h * w * groups * depth + 1, dtype=np.float64)
    x = x.reshape((n, h, w, -1) if last else (n, -1, h, w))
    g = geometry(
        input_shape=x.shape,
        kernel_shape=(2, 3, depth, 4),
        strides=strides,
        padding=padding,
        dilation_rate=dilation_rate,
        data_format=data_format,
        groups=groups,
    )
    nhwc = x if last else x.transpose(0, 2, 3, 1)
    flat = g.padded(x).ravel()
    base, tap = g.indices()
    assert base.shape == (n * g.output[0] * g.output[1],)
    assert tap.shape == (g.taps,) == (2 * 3 * depth,)
    for group in range(groups):
        read = flat[base[:, None] + tap + group * g.group_step()]
        read = read.reshape(n, *g.output, 2, 3, depth)
        for (b, oh, ow, i, j, c), value in np.ndenumerate(read):
            row = oh * strides[0] - g.pads[0][0] + i * dilation_rate[0]
            column = ow * strides[1] - g.pads[1][0] + j * dilation_rate[1]
            inside = 0 <= row < h and 0 <= column < w
            assert value == (nhwc[b, row, column, group * depth + c] if inside else 0)


@pytest.mark.parametrize(
    ("input_shape", "data_format", "expected"),
    [
        ((None, 9, 8, 3), "channels_last", (None, 4, 8, 6)),
        ((5, None, 8, 3), "channels_last", (5, None, 8, 6)),
        ((5, 9, None, 3), "channels_last", (5, 4, None, 6)),
        ((None, None, None, 3), "channels_last", (None, None, None, 6)),
        ((None, None, None, None), "channels_last", (None, None, None, 6)),
        ((None, 3, None, 8), "channels_first", (None, 6, None, 8)),
        ((0, 3, 9, 8), "channels_first", (0, 6, 4, 8)),
    ],
)
def test_unknown_sizes_stay_unknown(input_shape, data_format: str, expected):
    got = output_shape(input_shape, 6, kernel_size=(3, 1), strides=(2, 1), data_format=data_format)
    assert got == expected


@given(st.tuples(sizes, sizes), st.tuples(kernels, kernels), st.tuples(steps, steps))
def test_known_and_unknown_sizes_agree(size, kernel, stride):
    known = output_shape((3, *size, 2), 5, kernel_size=kernel, strides=stride, padding="same")
    for axis in range(3):
        shape: list[int | None] = [3, *size, 2]
        shape[axis] = None
        got = output_shape(shape, 5, kernel_size=kernel, strides=stride, padding="same")
        assert got == (*known[:axis], None, *known[axis + 1 :])


def test_axes_of_the_layouts():
    assert (spatial_axes("channels_last"), channel_axis("channels_last")) == ((1, 2), 3)
    assert (spatial_axes("channels_first"), channel_axis("channels_first")) == ((2, 3), 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel_shape": (6, 3, 3, 4)}, ["zero or negative", "(2, 5, 7, 3)", "(6, 3)"]),
        ({"kernel_shape": (2, 8, 3, 4)}, ["zero or negative", "(2, 8)"]),
        ({"dilation_rate": (5, 1)}, ["zero or negative", "(5, 1)"]),
        ({"input_shape": (2, 0, 7, 3)}, ["zero or negative", "(2, 0, 7, 3)"]),
        ({"padding": "full"}, ["padding", "full"]),
        ({"padding": "causal"}, ["padding", "causal"]),
        ({"data_format": "NHWC"}, ["data_format", "'NHWC'"]),
        ({"strides": (0, 1)}, ["strides", "(0, 1)"]),
        ({"dilation_rate": (1, 0)}, ["dilation_rate", "(1, 0)"]),
        ({"input_shape": (5, 7, 3)}, ["(5, 7, 3)"]),
        ({"input_shape": (1, 2, 5, 7, 3)}, ["(1, 2, 5, 7, 3)"]),
        ({"kernel_shape": (3, 3, 4)}, ["(3, 3, 4)"]),
        ({"groups": 0}, ["groups=0"]),
        ({"groups": 3}, ["groups=3", "filters=4"]),
        ({"groups": 2}, ["groups=2", "reads 6 channels, not 3"]),
        ({"input_shape": (2, 5, 7, 4)}, ["depth 3", "not 4"]),
        ({"data_format": "channels_first"}, ["not 5"]),
    ],
)
def test_what_does_not_fit_is_refused_with_the_value_named(changes, words: list[str]):
    with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
        geometry(**changes)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
