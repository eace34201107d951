"""The reference convolution equals seven nested loops, bit for bit, and rounds once."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reference_impl.convolution import accumulate, conv2d
from reference_impl.dtypes import FLOATS, FORMATS, as_dtype, format_of
from reference_impl.rounding import round_to

Array = NDArray[Any]
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@dataclass(frozen=True)
class Drawn:
    """Arguments of one convolution; the arrays come from a seed."""

    batch: int
    size: tuple[int, int]
    depth: int
    kernel: tuple[int, int]
    per_group: int
    groups: int
    strides: tuple[int, int]
    dilation_rate: tuple[int, int]
    padding: str
    data_format: str
    use_bias: bool
    seed: int

    def arrays(self, dtype: str) -> tuple[Array, Array, Array | None]:
        rng = np.random.default_rng(self.seed)
        channels, filters = self.groups * self.depth, self.groups * self.per_group
        shape = (self.batch, *self.size, channels)
        if self.data_format == "channels_first":
            shape = (self.batch, channels, *self.size)
        kernel_shape = (*self.kernel, self.depth, filters)
        x, kernel, bias = (
            (rng.standard_normal(s) * 2.0 ** rng.integers(-4, 5, s)).astype(as_dtype(dtype))
            for s in (shape, kernel_shape, (filters,))
        )
        return x, kernel, bias if self.use_bias else None

    @property
    def arguments(self) -> dict[str, Any]:
        names = ("strides", "padding", "data_format", "dilation_rate", "groups")
        return {name: getattr(self, name) for name in names}


@st.composite
def configurations(draw: Callable[..., Any]) -> Drawn:
    """Any convolution with a result; strides and dilation may both be above 1."""
    kernel, dilation = draw(pairs), draw(pairs)
    padding = draw(st.sampled_from(["valid", "same"]))
    least = [
        (k - 1) * d + 1 if padding == "valid" else 1 for k, d in zip(kernel, dilation, strict=True)
    ]
    return Drawn(
        batch=draw(st.integers(0, 2)),
        size=(least[0] + draw(st.integers(0, 4)), least[1] + draw(st.integers(0, 4))),
        depth=draw(st.integers(1, 4)),
        kernel=kernel,
        per_group=draw(st.integers(1, 9)),
        groups=draw(st.integers(1, 3)),
        strides=draw(pairs),
        dilation_rate=dilation,
        padding=padding,
        data_format=draw(st.sampled_from(["channels_last", "channels_first"])),
        use_bias=draw(st.booleans()),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def seven_loops(
    x: Array, kernel: Array, bias: Array | None, number: Callable[[Any], Any], **given: Any
) -> Array:
    """The definition, one multiplication at a time, on whatever `number` makes of the values.

    The pads are those of TensorFlow's documentation; a window leaves out what is not there.
    """
    first = given["data_format"] == "channels_first"
    x = x.transpose(0, 2, 3, 1) if first else x
    (batch, height, width, _), (kh, kw, depth, filters) = x.shape, kernel.shape
    (sh, sw), (dh, dw) = given["strides"], given["dilation_rate"]
    eh, ew = kh + (kh - 1) * (dh - 1), kw + (kw - 1) * (dw - 1)
    if given["padding"] == "same":
        oh, ow = -(-height // sh), -(-width // sw)
        top = max((oh - 1) * sh + eh - height, 0) // 2
        left = max((ow - 1) * sw + ew - width, 0) // 2
    else:
        oh, ow = (height - eh) // sh + 1, (width - ew) // sw + 1
        top = left = 0
    y = np.empty((batch, oh, ow, filters), object)
    for n, r, c, f in itertools.product(range(batch), range(oh), range(ow), range(filters)):
        start = f // (filters // given["groups"]) * depth
        total = number(0.0)
        for i, j, d in itertools.product(range(kh), range(kw), range(depth)):
            row, column = r * sh + i * dh - top, c * sw + j * dw - left
            if 0 <= row < height and 0 <= column < width:
                total += number(float(x[n, row, column, start + d])) * number(
                    float(kernel[i, j, d, f])
                )
        y[n, r, c, f] = total if bias is None else total + number(float(bias[f]))
    return y.transpose(0, 3, 1, 2) if first else y


def bits(values: Array) -> list[Any]:
    return values.view(f"u{values.dtype.itemsize}").ravel().tolist()


def nearest_even(value: Fraction, name: str) -> float:
    """`value` rounded to the format, ties to even, by integer arithmetic alone."""
    fmt = FORMATS[name]
    if value == 0:
        return 0.0
    exponent = fmt.min_exponent
    while abs(value) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    step = Fraction(2) ** (exponent - fmt.precision + 1)
    rounded = round(value / step) * step  # Fraction rounds half to even
    magnitude = float("inf") if abs(rounded) > Fraction(fmt.largest) else float(abs(rounded))
    return magnitude if value > 0 else -magnitude


@settings(max_examples=60)
@given(configurations(), st.sampled_from(["float16", "bfloat16", "float32"]))
def test_equals_seven_loops_bit_for_bit(drawn: Drawn, dtype: str):
    """A product of two such numbers is exact in float64, so only the order of additions counts."""
    x, kernel, bias = drawn.arrays(dtype)
    got = conv2d(x, kernel, bias, **drawn.arguments)
    plain = seven_loops(x, kernel, bias, float, **drawn.arguments)
    want = [nearest_even(Fraction(v), dtype) for v in plain.ravel()]
    assert got.dtype == as_dtype(dtype)
    assert got.shape == plain.shape
    assert bits(got) == bits(np.array(want, as_dtype(dtype)))


@settings(max_examples=30)
@given(configurations(), st.sampled_from(FLOATS))
def test_sums_stay_within_their_bound(drawn: Drawn, dtype: str):
    x, kernel, bias = drawn.arrays(dtype)
    got = accumulate(x, kernel, bias, magnitude=True, **drawn.arguments)
    exact = seven_loops(x, kernel, bias, Fraction, **drawn.arguments)
    size = seven_loops(
        abs(x), abs(kernel), None if bias is None else abs(bias), Fraction, **drawn.arguments
    )
    assert got.taps == drawn.kernel[0] * drawn.kernel[1] * drawn.depth
    assert got.magnitude is not None
    for value, magnitude, true, s in zip(
        got.value.flat, got.magnitude.flat, exact.flat, size.flat, strict=True
    ):
        allowed = (got.taps + 1) * Fraction(1, 2**53) * s
        assert abs(Fraction(float(value)) - true) <= allowed
        assert abs(Fraction(float(magnitude)) - s) <= allowed


@settings(max_examples=20)
@given(configurations())
def test_float64_stays_within_its_bound(drawn: Drawn):
    x, kernel, bias = drawn.arrays("float64")
    got = conv2d(x, kernel, bias, **drawn.arguments)
    exact = seven_loops(x, kernel, bias, Fraction, **drawn.arguments)
    size = accumulate(x, kernel, bias, magnitude=True, **drawn.arguments)
    assert got.dtype == np.float64
    assert size.magnitude is not None
    for value, s, true in zip(got.flat, size.magnitude.flat, exact.flat, strict=True):
        bound = (size.taps + 1) * Fraction(1, 2**53) * Fraction(float(s)) * Fraction(1001, 1000)
        assert abs(Fraction(float(value)) - true) <= bound


@pytest.mark.parametrize("filters", [1, 7, 8, 9, 16, 17, 33])
@pytest.mark.parametrize("width", [1, 5, 6, 7, 12, 13])
def test_no_edge_of_a_tile_shows(filters: int, width: int):
    rng = np.random.default_rng(filters * 100 + width)
    x = rng.integers(-9, 10, (1, 1, width, 3)).astype(np.float32)
    kernel = rng.integers(-9, 10, (1, 1, 3, filters)).astype(np.float32)
    assert np.array_equal(conv2d(x, kernel), x @ kernel[0, 0])


def test_a_hand_computed_example():
    x = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)
    kernel = np.array([[1, 10], [100, 1000]], np.float32).reshape(2, 2, 1, 1)
    valid = conv2d(x, kernel, np.array([0.5], np.float32))[0, :, :, 0]
    same = conv2d(x, kernel, padding="same")[0, :, :, 0]
    assert valid.tolist() == [[5421.5, 6532.5], [8754.5, 9865.5]]
    assert same.tolist() == [[5421, 6532, 603], [8754, 9865, 906], [87, 98, 9]]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("zero_kernel", [False, True])
def test_what_is_not_finite_reaches_exactly_the_windows_that_read_it(
    data_format: str, poison: float, zero_kernel: bool
):
    """Not the other samples or groups, nor what strides and dilation leave out; 0 * NaN is NaN."""
    first = data_format == "channels_first"
    kernel = np.zeros((2, 2, 2, 4)) if zero_kernel else np.ones((2, 2, 2, 4))
    arguments = {
        "strides": (2, 1),
        "dilation_rate": (1, 2),
        "padding": "same",
        "groups": 2,
        "data_format": data_format,
    }
    for place in itertools.product(range(2), range(5), range(4), range(4)):
        n, h, w, c = place
        x = np.ones((2, 5, 4, 4))
        x[place] = poison
        y = conv2d(x.transpose(0, 3, 1, 2) if first else x, kernel, **arguments)
        y = y.transpose(0, 2, 3, 1) if first else y
        reached = set(map(tuple, np.argwhere(~np.isfinite(y)).tolist()))
        reading = {
            (n, r, q, f)
            for r, q, f, i, j in itertools.product(*map(range, (3, 4, 4, 2, 2)))
            if (2 * r + i, q + 2 * j - 1) == (h, w) and f // 2 == c // 2
        }
        assert reached == reading
        given_back = np.nan if zero_kernel else poison
        assert np.array_equal(
            [y[index] for index in reading], [given_back] * len(reading), equal_nan=True
        )


def test_a_weight_that_is_not_finite_meets_the_zeros_of_the_padding():
    """0 * infinity is NaN over the padding, and infinity elsewhere."""
    kernel = np.array([np.inf, 1, 1]).reshape(1, 3, 1, 1)
    y = conv2d(np.ones((1, 1, 3, 1)), kernel, padding="same")[0, 0, :, 0]
    assert np.isnan(y[0])
    assert np.isposinf(y[1:]).all()


def test_views_are_read_as_they_lie():
    rng = np.random.default_rng(0)
    x = rng.integers(-5, 6, (2, 6, 5, 3)).astype(np.float32)
    kernel = rng.integers(-5, 6, (2, 2, 3, 4)).astype(np.float32)
    want = conv2d(x, kernel)
    assert np.array_equal(conv2d(np.asfortranarray(x), np.asfortranarray(kernel)), want)
    assert np.array_equal(conv2d(x[:, ::-1][:, ::-1], kernel[..., ::-1][..., ::-1]), want)
    x.flags.writeable = kernel.flags.writeable = False
    assert np.array_equal(conv2d(x, kernel), want)
    assert np.array_equal(conv2d(x.tolist(), kernel.tolist()), want.astype(np.float64))


@pytest.mark.parametrize(
    ("x", "kernel", "bias", "words"),
    [
        (np.ones((1, 3, 3, 1), np.int32), np.ones((2, 2, 1, 1)), None, ["int32", "float32"]),
        (np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1), complex), None, ["complex128", "float64"]),
        (
            np.ones((1, 3, 3, 1), np.float32),
            np.ones((2, 2, 1, 1)),
            None,
            ["x is float32, kernel is"],
        ),
        (np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 3)), np.ones(3, "f4"), ["bias is float32"]),
        (np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 3)), np.ones(2), ["bias", "(3,)", "(2,)"]),
        (np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 3)), np.ones((1, 3)), ["(3,)", "(1, 3)"]),
        (np.ones((1, 3, 3, 1)), np.ones((4, 2, 1, 3)), None, ["zero or negative", "(4, 2)"]),
        (np.ones((1, 3, 3, 2)), np.ones((2, 2, 1, 3)), None, ["depth 1", "not 2"]),
        (np.ones((3, 3, 1)), np.ones((2, 2, 1, 3)), None, ["(3, 3, 1)"]),
        (np.ones((1, 3, 3, 1)), np.ones((2, 1, 3)), None, ["(2, 1, 3)"]),
    ],
)
def test_errors_are_one_sentence_with_the_value(x, kernel, bias, words: list[str]):
    with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
        conv2d(x, kernel, bias)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", FLOATS)
def test_a_format_describes_its_dtype(name: str):
    fmt, info = format_of(as_dtype(name)), ml_dtypes.finfo(as_dtype(name))
    one = np.ones((), fmt.dtype)
    assert fmt is format_of(name)
    assert fmt.largest == float(info.max)
    assert fmt.smallest_subnormal == float(info.smallest_subnormal)
    assert 2.0**fmt.min_exponent == float(info.smallest_normal)
    assert fmt.unit_roundoff == float(np.nextafter(one, one * 2) - one) / 2


# Rounding -----------------------------------------------------------------------------------------

float64s = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def near_ties(draw: Callable[..., Any]) -> tuple[str, float]:
    """A float64 that lies at, or a last bit beside, the middle of two neighbours of a format."""
    name = draw(st.sampled_from(["float16", "bfloat16", "float32"]))
    fmt = FORMATS[name]
    largest = int(np.floor(np.log2(fmt.largest)))
    exponent = draw(st.integers(fmt.min_exponent - 2, largest))
    significand = draw(st.integers(2**fmt.precision, 2 ** (fmt.precision + 1) - 1))
    low = max(exponent, fmt.min_exponent) - exponent
    value = float(Fraction(significand >> low << low) * Fraction(2) ** (exponent - fmt.precision))
    side = draw(st.sampled_from([-1, 0, 1]))
    value = float(np.nextafter(value, side * np.inf)) if side else value
    return name, draw(st.sampled_from([value, -value]))


@settings(max_examples=400)
@given(near_ties())
@example(("bfloat16", 1 + 2**-8 + 2**-40))
@example(("bfloat16", 1 + 2**-8 - 2**-40))
@example(("bfloat16", 1 + 3 * 2**-8 - 2**-40))
def test_rounds_once_to_nearest_even_around_ties(drawn: tuple[str, float]):
    name, value = drawn
    assert float(round_to(np.array([value]), FORMATS[name])[0]) == nearest_even(
        Fraction(value), name
    )


@settings(max_examples=400)
@given(float64s | st.floats(-1e-36, 1e-36) | st.floats(-7e4, 7e4), st.sampled_from(FLOATS))
def test_rounds_any_number_to_nearest_even(value: float, name: str):
    got = round_to(np.array([value]), FORMATS[name])
    assert got.dtype == as_dtype(name)
    assert float(got[0]) == nearest_even(Fraction(value), name)
    assert np.signbit(got[0]) == np.signbit(value)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_overflow_starts_at_half_a_step_beyond_the_largest_number(name: str):
    fmt = FORMATS[name]
    exponent = int(np.floor(np.log2(fmt.largest)))
    limit = fmt.largest + 2.0 ** (exponent - fmt.precision)
    values = np.array([limit, np.nextafter(limit, 0), -limit, 1e300, np.inf, -np.inf, np.nan])
    got = round_to(values, fmt).astype(np.float64)
    want = [np.inf, fmt.largest, -np.inf, np.inf, np.inf, -np.inf, np.nan]
    assert np.array_equal(got, want, equal_nan=True)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_subnormals_are_kept(name: str):
    eta = FORMATS[name].smallest_subnormal
    values = np.array([eta, eta / 2, np.nextafter(eta / 2, 1), 1.5 * eta, 2.5 * eta, -eta / 2])
    got = round_to(values, FORMATS[name]).astype(np.float64)
    assert (got / eta).tolist() == [1, 0, 1, 2, 2, 0]
    assert np.signbit(got[-1])


def test_bfloat16_is_not_rounded_twice():
    """float32 would round this down to the middle, and the middle to even, which is 1."""
    trap = np.array([1 + 2**-8 + 2**-40])
    assert float(trap.astype(ml_dtypes.bfloat16)[0]) == 1.0
    assert float(round_to(trap, FORMATS["bfloat16"])[0]) == 1 + 2**-7
