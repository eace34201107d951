"""Every element of the reference is the correctly rounded exact result, and can tell why."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from configurations import Convolution, convolutions
from hypothesis import given, settings
from numpy.typing import NDArray

from reference_impl import _kernel, conv2d, conv2d_certified, exact
from reference_impl.certificate import Certificate
from reference_impl.convolution import accumulate
from reference_impl.dtypes import FLOATS, as_dtype


def bits(values: NDArray[Any]) -> NDArray[Any]:
    """The bits of the values, every NaN alike."""
    plain = values.astype(np.float64)
    return np.where(np.isnan(plain), np.nan, plain).view(np.uint64)


@settings(max_examples=1500)
@given(convolutions())
def test_the_fast_reference_equals_the_slow_oracle_bit_for_bit(case: Convolution):
    with np.errstate(all="ignore"):
        want = exact.conv2d(*case.operands, **case.arguments)
    got = conv2d(*case.operands, **case.arguments)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    assert np.array_equal(bits(got), bits(want))


@settings(max_examples=50)
@given(convolutions())
def test_both_entry_points_give_the_same_values(case: Convolution):
    certified = conv2d_certified(*case.operands, **case.arguments)
    assert np.array_equal(bits(certified.value), bits(conv2d(*case.operands, **case.arguments)))
    assert certified.magnitude.shape == certified.certificate.shape == certified.value.shape
    assert np.isin(certified.certificate, list(Certificate)).all()


@settings(max_examples=2000)
@given(convolutions(dtypes=("float32", "float16", "bfloat16")))
def test_the_loop_equals_the_plain_nest_bit_for_bit(case: Convolution):
    """Sums in float64 over taps in order, the bias last: no tile, no instruction changes a bit."""
    a = case.arguments
    first = a["data_format"] == "channels_first"
    x = case.x.astype(np.float64)
    x = np.moveaxis(x, 1, -1) if first else x
    got = accumulate(*case.operands, **a).value
    got = np.moveaxis(got, 1, -1) if first else got
    want = np.zeros_like(got)
    kh, kw, depth, filters = case.kernel.shape
    top, left = (
        max((out - 1) * s + (k - 1) * d + 1 - n, 0) // 2 if a["padding"] == "same" else 0
        for out, s, k, d, n in zip(
            got.shape[1:3], a["strides"], (kh, kw), a["dilation_rate"], x.shape[1:3], strict=True
        )
    )
    with np.errstate(invalid="ignore"):
        for n, oh, ow, f in np.ndindex(*want.shape):
            start = f // (filters // a["groups"]) * depth
            total = 0.0
            for i, j, c in np.ndindex(kh, kw, depth):
                h = oh * a["strides"][0] + i * a["dilation_rate"][0] - top
                w = ow * a["strides"][1] + j * a["dilation_rate"][1] - left
                inside = 0 <= h < x.shape[1] and 0 <= w < x.shape[2]
                value = x[n, h, w, start + c] if inside else 0.0
                total = total + value * float(case.kernel[i, j, c, f])
            want[n, oh, ow, f] = total if case.bias is None else total + float(case.bias[f])
    assert np.array_equal(bits(got), bits(want))


@pytest.mark.parametrize("filters", [1, 7, 8, 9, 16, 40])
@pytest.mark.parametrize("pixels", [0, 12, 36])
@pytest.mark.parametrize("path", range(len(_kernel.PATHS)), ids=_kernel.PATHS.__getitem__)
def test_every_path_gives_the_same_bits(path: int, pixels: int, filters: int):
    """One that this processor lacks is replaced by the best it has."""
    rng = np.random.default_rng(pixels + filters)
    taps = 23
    x = rng.standard_normal(140).astype(np.float32).astype(np.float64)
    base, tap = rng.integers(0, 50, pixels), rng.integers(0, 50, taps)
    w = rng.standard_normal((-(-filters // 8), taps, 8))
    single, double = w.astype(np.float32).astype(np.float64), w

    def run(
        weights: Any, path: int = -1, *, paired: bool = False, depthwise: bool = False
    ) -> bytes:
        y = np.empty((pixels, 8 * len(w)))
        low = np.empty_like(y) if paired else None
        _kernel.correlate(x, base, tap, weights, y, low, depthwise, path)
        return y.tobytes() + (b"" if low is None else low.tobytes())

    assert run(single, path) == run(single)
    assert run(double, path, paired=True) == run(double, paired=True)
    assert run(single, path, depthwise=True) == run(single, depthwise=True)


def one_sum(a: list[float], b: list[float], dtype: str) -> tuple[float, Certificate]:
    """The reference on a single sum of products, and its certificate."""
    kind = as_dtype(dtype)
    x = np.array(a).astype(kind).reshape(1, 1, 1, -1)
    kernel = np.array(b).astype(kind).reshape(1, 1, -1, 1)
    result = conv2d_certified(x, kernel)
    return float(result.value[0, 0, 0, 0]), Certificate(result.certificate[0, 0, 0, 0])


@pytest.mark.parametrize(
    ("a", "b", "dtype", "value", "certificate"),
    [
        # 1 + 2**-8 is a tie in bfloat16; 2**-40 more decides it, and a detour by float32 loses it.
        ([1, 2**-8, 2**-40], [1, 1, 1], "bfloat16", 1.0078125, Certificate.BOUND),
        ([1, 2**-8], [1, 1], "bfloat16", 1.0, Certificate.LATTICE),
        ([256, 258], [1, 1], "bfloat16", 512.0, Certificate.LATTICE),
        ([1, 2**-24, 2**-70], [1, 1, 1], "float32", 1 + 2**-23, Certificate.SUMMED),
        ([1, 2**-24, -(2**-70)], [1, 1, 1], "float32", 1.0, Certificate.SUMMED),
        ([2**60, 1, -(2**60)], [1, 1, 1], "float32", 1.0, Certificate.SUMMED),
        ([3, -3], [1, 1], "float64", 0.0, Certificate.LATTICE),
        ([65504, 15], [1, 1], "float16", 65504.0, Certificate.BOUND),
        ([65504, 16], [1, 1], "float16", float("inf"), Certificate.LATTICE),
        ([2**-12], [2**-13], "float16", 0.0, Certificate.LATTICE),
        ([2**-12], [3 * 2**-14], "float16", 2**-24, Certificate.BOUND),
        ([1e308, 1e308, -1e308], [1, 1, 1], "float64", 1e308, Certificate.SUMMED),
        ([1e308, 1e308], [1, 1], "float64", float("inf"), Certificate.SUMMED),
        ([5e-324], [0.5], "float64", 0.0, Certificate.SUMMED),
        ([5e-324, 5e-324], [0.5, 0.5], "float64", 5e-324, Certificate.SUMMED),
        ([float("inf"), -1], [1, 1], "float32", float("inf"), Certificate.IEEE),
        ([1e308, 1e308, float("-inf")], [1, 1, 1], "float64", float("-inf"), Certificate.IEEE),
    ],
)  # fmt: skip
def test_hard_sums_are_right_and_say_how(
    a: list[float], b: list[float], dtype: str, value: float, certificate: Certificate
):
    assert one_sum(a, b, dtype) == (value, certificate)


@pytest.mark.parametrize("factors", [([np.inf, 1], [0, 1]), ([np.inf, -np.inf], [1, 1])])
@pytest.mark.parametrize("dtype", FLOATS)
def test_undefined_sums_are_nan(factors: tuple[list[float], list[float]], dtype: str):
    value, certificate = one_sum(*factors, dtype)
    assert np.isnan(value)
    assert certificate is Certificate.IEEE


def test_an_infinite_weight_over_the_padding_gives_nan():
    x, kernel = np.ones((1, 1, 1, 1), np.float32), np.ones((1, 2, 1, 1), np.float32)
    kernel[0, 1] = np.inf
    assert np.isnan(conv2d(x, kernel, padding="same")).all()


@pytest.mark.parametrize(
    ("value", "dtype", "want"),
    [
        (exact.Fraction(1, 3), "float32", float(np.float32(1 / 3))),
        (exact.Fraction(1) + exact.Fraction(1, 2**8), "bfloat16", 1.0),
        (exact.Fraction(65519), "float16", 65504.0),
        (exact.Fraction(65520), "float16", float("inf")),
        (exact.Fraction(1, 2**25), "float16", 0.0),
        (exact.Fraction(3, 2**25), "float16", 2**-23),
        (-exact.Fraction(1, 2**1075), "float64", -0.0),
    ],
)
def test_the_oracle_rounds_as_ieee_754_says(value: exact.Fraction, dtype: str, want: float):
    got = exact.rounded(value, dtype)
    assert (got, np.signbit(got)) == (want, np.signbit(want))


def test_the_oracle_rounds_numbers_of_a_format_to_themselves():
    every = np.arange(2**16, dtype=np.uint16)
    for dtype in (np.float16, ml_dtypes.bfloat16):
        with np.errstate(invalid="ignore"):  # signalling NaN
            numbers = every.view(dtype).astype(np.float64)
        for number in numbers[np.isfinite(numbers)][::97]:
            name = np.dtype(dtype).name
            assert exact.rounded(exact.Fraction(float(number)), name) == number
