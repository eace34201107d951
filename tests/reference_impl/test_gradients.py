"""Gradients are the exact ones, rounded once: compared with sums written out in rationals."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from configurations import Convolution, convolutions, values
from hypothesis import given, settings
from numpy.typing import NDArray

from reference_impl import bias_gradient, conv2d, exact, input_gradient, kernel_gradient
from reference_impl.dtypes import FORMATS, as_dtype
from reference_impl.geometry import output_shape

FINITE = ("normal", "integers", "wide", "cancelling")


def finite(case: Convolution, seed: int = 0) -> tuple[Any, Any, Any]:
    """x, kernel and an upstream gradient of the shapes of the case, without special values."""
    rng = np.random.default_rng(seed)
    dtype = case.x.dtype.name
    kh, kw, _, filters = case.kernel.shape
    a = case.arguments
    shape = output_shape(
        case.x.shape,
        filters,
        kernel_size=(kh, kw),
        strides=a["strides"],
        padding=a["padding"],
        dilation_rate=a["dilation_rate"],
        data_format=a["data_format"],
    )
    kind = FINITE[int(rng.integers(len(FINITE)))]
    shapes = (case.x.shape, case.kernel.shape, shape)
    return tuple(values(rng, kind, s, dtype) for s in shapes)  # type: ignore[arg-type]


def written_out(
    x: NDArray[Any], kernel: NDArray[Any], upstream: NDArray[Any], arguments: dict[str, Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Gradients with respect to x and kernel, each product of the convolution taken once.

    Which input element a tap reads is found by convolving the numbers of the elements.
    """
    dtype = x.dtype.name
    for_x: dict[Any, list[tuple[float, float]]] = defaultdict(list)
    for_kernel: dict[Any, list[tuple[float, float]]] = defaultdict(list)
    numbers = 1.0 + np.arange(x.size).reshape(x.shape)
    first = arguments["data_format"] == "channels_first"
    for index in np.ndindex(*upstream.shape):
        f = index[1] if first else index[3]
        dy = float(upstream[index])
        read = exact.terms(numbers, np.ones(kernel.shape), None, index, **arguments)
        for tap, (number, _) in zip(np.ndindex(*kernel.shape[:3]), read, strict=True):
            if number:
                element = np.unravel_index(int(number) - 1, x.shape)
                for_x[tuple(element)].append((dy, float(kernel[(*tap, f)])))
                for_kernel[(*tap, f)].append((dy, float(x[element])))
    dx, dk = np.zeros_like(x), np.zeros_like(kernel)
    for target, products in ((dx, for_x), (dk, for_kernel)):
        for element, terms in products.items():
            target[element] = exact.sum_of_products(terms, dtype)
    return dx, dk


@settings(max_examples=60)
@given(convolutions())
def test_gradients_are_the_exact_ones_rounded_once(case: Convolution):
    x, kernel, upstream = finite(case)
    want_x, want_kernel = written_out(x, kernel, upstream, case.arguments)
    got_x = input_gradient(upstream, kernel, x.shape, **case.arguments)
    got_kernel = kernel_gradient(upstream, x, kernel.shape[:2], **case.arguments)
    assert (got_x.shape, got_x.dtype) == (x.shape, x.dtype)
    assert (got_kernel.shape, got_kernel.dtype) == (kernel.shape, kernel.dtype)
    assert np.array_equal(got_x, want_x)
    assert np.array_equal(got_kernel, want_kernel)


@settings(max_examples=60)
@given(convolutions())
def test_the_bias_gradient_is_the_rounded_sum_of_the_upstream_one(case: Convolution):
    _, _, upstream = finite(case)
    layout = case.arguments["data_format"]
    flat = np.moveaxis(upstream, 1, -1) if layout == "channels_first" else upstream
    want = [
        exact.sum_of_products([(1.0, float(v)) for v in column], upstream.dtype.name)
        for column in flat.reshape(-1, flat.shape[-1]).T
    ]
    assert np.array_equal(bias_gradient(upstream, data_format=layout), np.array(want))


@settings(max_examples=100)
@given(convolutions(dtypes=("float64",)))
def test_gradients_are_adjoint_to_the_convolution(case: Convolution):
    """<upstream, conv(x, k)> = <dx, x> = <dk, k>, exactly, on integers."""
    rng = np.random.default_rng(0)
    x, kernel = (rng.integers(-4, 5, a.shape).astype(np.float64) for a in (case.x, case.kernel))
    y = conv2d(x, kernel, **case.arguments)
    upstream = rng.integers(-4, 5, y.shape).astype(np.float64)
    inner = (upstream * y).sum()
    assert (input_gradient(upstream, kernel, x.shape, **case.arguments) * x).sum() == inner
    assert (
        kernel_gradient(upstream, x, kernel.shape[:2], **case.arguments) * kernel
    ).sum() == inner


@pytest.mark.parametrize("dtype", FORMATS)
def test_gradients_of_an_empty_batch_are_zero(dtype: str):
    upstream, x = (np.zeros(shape, as_dtype(dtype)) for shape in ((0, 3, 4, 2), (0, 4, 4, 3)))
    kernel = np.ones((2, 1, 3, 2), as_dtype(dtype))
    for gradient, like in (
        (input_gradient(upstream, kernel, x.shape), x),
        (kernel_gradient(upstream, x, (2, 1)), kernel),
        (bias_gradient(upstream), kernel[0, 0, 0]),
    ):
        assert (gradient.shape, gradient.dtype) == (like.shape, like.dtype)
        assert not gradient.any()


def test_an_upstream_gradient_of_another_shape_is_refused():
    upstream, kernel = np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1))
    with pytest.raises(ValueError, match=r"upstream must have shape \(1, 2, 2, 1\)"):
        input_gradient(upstream, kernel, (1, 3, 3, 1))
