"""The bound never fails a right convolution, however it sums, and does fail slightly wrong ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from patches import Patches, in_pairs, in_sequence, is_small, patches

from conformance.capabilities import EVERYTHING, Capabilities
from conformance.case import Case
from conformance.criteria import (
    EXACT_ACTIVATIONS,
    Expected,
    error_ratio,
    expected,
)
from conformance.data import Arrays, arrays
from conformance.plan.free import examples
from reference_impl import activations
from reference_impl.dtypes import FORMATS, as_dtype, format_of

Array = NDArray[Any]
Sum = Callable[[Patches, Any], Array]  # float32 or float64 sums of the products, without the bias
RNG = np.random.default_rng(0)
NAMES = sorted({*activations.ACTIVATIONS, *activations.ALIASES} - {"threshold"})
SUMS_IN_FLOAT32 = Capabilities(accumulation="float32")
KINDS = ("normal", "cancelling", "wide", "knees")

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid|underflow|divide):RuntimeWarning")


@st.composite
def cases(draw: Callable[..., Any], **changes: Any) -> Case:
    """A drawn configuration on data that a bound decides."""
    case = draw(examples().map(lambda e: e[0]).filter(is_small))
    kind = draw(st.sampled_from(KINDS))
    return replace(case, **({"data": kind, "activation": None} | changes))


def judged(case: Case, got: Array, capabilities: Capabilities = EVERYTHING) -> float:
    """The greatest error over bound."""
    return float(error_ratio(got, expected(case, arrays(case), capabilities)).max(initial=0.0))


def bound(case: Case, capabilities: Capabilities = EVERYTHING) -> Array:
    return expected(case, arrays(case), capabilities).bound


def as_keras(p: Patches, sums: Array) -> Array:
    """From sums to a result as Keras' backends do it: 16 bits round before and after the bias."""
    dtype = as_dtype(p.case.compute_dtype)
    return p.arranged((sums.astype(dtype) + p.bias.astype(dtype)).astype(dtype))


def rounded_once(p: Patches, sums: Array) -> Array:
    """The bias added before the only rounding."""
    return p.arranged((sums + p.bias.astype(sums.dtype)).astype(as_dtype(p.case.compute_dtype)))


def products(p: Patches, dtype: Any) -> Array:
    return p.read.astype(dtype) * p.weights.astype(dtype)


def by_matrix_product(p: Patches, dtype: Any) -> Array:
    """im2col and BLAS, a group at a time."""
    g = p.case.geometry
    read = p.read.reshape(-1, g.filters, g.taps).astype(dtype)
    weights = p.weights.reshape(-1, g.filters, g.taps)[:1].astype(dtype)
    sums = np.empty(read.shape[:2], dtype)
    depth = g.filters // g.groups
    for start in range(0, g.filters, depth):
        group = slice(start, start + depth)
        if len(read):
            sums[:, group] = np.tensordot(read[:, start], weights[0, group], axes=(1, 1))
    return sums.ravel()


def shuffled(p: Patches, dtype: Any) -> Array:
    return in_sequence(products(p, dtype)[:, RNG.permutation(p.read.shape[1])], dtype)


def in_blocks(p: Patches, dtype: Any) -> Array:
    """Sixteen products at a time, as a vector unit keeps them."""
    terms = products(p, dtype)
    lanes = [in_sequence(terms[:, k::16], dtype) for k in range(min(16, terms.shape[1]))]
    return in_pairs(np.array(lanes).T, dtype)


RIGHT: dict[str, Sum] = {
    "first to last": lambda p, dtype: in_sequence(products(p, dtype), dtype),
    "last to first": lambda p, dtype: in_sequence(products(p, dtype)[:, ::-1], dtype),
    "in pairs": lambda p, dtype: in_pairs(products(p, dtype), dtype),
    "in a random order": shuffled,
    "in blocks": in_blocks,
    "by einsum": lambda p, dtype: np.einsum(
        "et,et->e", p.read.astype(dtype), p.weights.astype(dtype)
    ),
    "by a matrix product": by_matrix_product,
}


@pytest.mark.parametrize("way", RIGHT)
@pytest.mark.parametrize("finish", [as_keras, rounded_once])
@settings(max_examples=40)
@given(case=cases())
def test_a_right_sum_is_within_the_bound(way: str, finish: Callable[..., Array], case: Case):
    """In float32, or in float64 for float64, whatever the order."""
    p = patches(case, arrays(case))
    dtype = np.float64 if case.compute_dtype == "float64" else np.float32
    assert judged(case, finish(p, RIGHT[way](p, dtype))) <= 1


@pytest.mark.parametrize("way", RIGHT)
@settings(max_examples=20)
@given(case=cases())
def test_sums_in_float64_are_within_the_bound_of_every_dtype(way: str, case: Case):
    p = patches(case, arrays(case))
    assert judged(case, rounded_once(p, RIGHT[way](p, np.float64))) <= 1


@settings(max_examples=80)
@given(case=cases(dtype="float64"))
def test_float64_summed_in_float32_is_within_the_bound_of_who_declares_it(case: Case):
    p = patches(case, arrays(case))
    got = rounded_once(p, in_sequence(products(p, np.float32), np.float32))
    assert judged(case, got, SUMS_IN_FLOAT32) <= 1


def test_float64_summed_in_float32_is_not_within_the_bound_of_float64():
    case = Case.parse("in1x8x8x3-f4-k3-float64-normal.1")
    p = patches(case, arrays(case))
    assert judged(case, rounded_once(p, in_sequence(products(p, np.float32), np.float32))) > 1000


@given(cases())
def test_the_reference_is_at_most_its_last_rounding_away(case: Case):
    want = expected(case, arrays(case), EVERYTHING)
    assert error_ratio(want.rounded, want).max(initial=0.0) <= 1


# What is declared --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sums_kept_in_16_bits_are_within_the_bound_of_who_declares_it(dtype: str):
    """Each product and each partial sum is rounded to the format of the data."""
    beyond = []

    @settings(max_examples=80, database=None)
    @given(cases(dtype=dtype))
    def judge(case: Case) -> None:
        p = patches(case, arrays(case))
        narrow = in_sequence(products(p, np.float32), as_dtype(dtype))
        for got in (as_keras(p, narrow), rounded_once(p, narrow)):
            assert judged(case, got, Capabilities(accumulation=dtype)) <= 1
        beyond.append(judged(case, as_keras(p, narrow)) > 1)

    judge()
    assert sum(beyond) > len(beyond) / 10


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("accumulation", ["float16", "bfloat16"])
@pytest.mark.parametrize("fmt", ["float32", "float64"])
def test_sums_of_16_bits_give_wider_data_no_more_room(dtype: str, accumulation: str, fmt: str):
    case = Case.parse("in1x5x6x3-f4-k3-normal.0")
    narrow, wide = replace(case, dtype=dtype), replace(case, dtype=fmt)
    declared = Capabilities(accumulation=accumulation)
    assert (bound(narrow, declared) > bound(narrow)).all()
    assert (bound(wide, declared) == bound(wide)).all()


def test_who_claims_sums_in_float64_and_keeps_them_in_float32_is_caught():
    """With float64 sums a float32 result is right but for its last rounding."""
    claimed = Capabilities(accumulation="float64")
    ratios: dict[str, list[float]] = {"float32": [], "float64": []}
    for seed in range(10):
        case = replace(Case.parse(SMALL), seed=seed)
        p = patches(case, arrays(case))
        for dtype, found in ratios.items():
            sums = in_sequence(products(p, np.dtype(dtype).type), np.dtype(dtype).type)
            found.append(judged(case, rounded_once(p, sums), claimed))
            assert judged(case, rounded_once(p, sums)) <= 1
    assert min(ratios["float32"]) > 1
    assert max(ratios["float64"]) <= 1


def flushed(values: Array, dtype: Any = np.float32) -> Array:
    """Numbers below the normal range as 0 of their sign."""
    narrow = values.astype(dtype)
    least = 2.0 ** format_of(np.dtype(dtype)).min_exponent
    return np.where(abs(narrow.astype(np.float64)) < least, narrow * 0, narrow)


def with_flushing(p: Patches) -> Array:
    """Sums of the products in float32 by a unit that knows no subnormal numbers."""
    dtype = as_dtype(p.case.compute_dtype)
    read, weights, bias = (
        flushed(flushed(values, dtype)) for values in (p.read, p.weights, p.bias)
    )
    total = np.zeros(len(read), np.float32)
    for column in flushed(read * weights).T:
        total = flushed(total + column)
    return p.arranged(flushed(flushed(total, dtype) + bias.astype(dtype), dtype))


def subnormal_arrays(case: Case, scale: float) -> Arrays:
    """Values on either side of `scale`, below the normal range or just above it."""
    dtype = as_dtype(case.compute_dtype)
    data = arrays(case)
    return Arrays(
        x=(data.x.astype(np.float64) * scale).astype(dtype),
        owner=data.owner,
        kernel=data.kernel,
        bias=None if data.bias is None else (data.bias.astype(np.float64) * scale).astype(dtype),
    )


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("offset", [-6, -1, 0, 2])
def test_who_flushes_subnormals_is_within_the_bound_only_if_it_is_declared(dtype: str, offset: int):
    """Of what is drawn only a little float16 is that small, so these arrays are made for it."""
    beyond = []
    for seed in range(20):
        case = replace(Case.parse("in1x5x6x3-f4-k2x3-normal.0"), dtype=dtype, seed=seed)
        data = subnormal_arrays(case, 2.0 ** (format_of(dtype).min_exponent + offset))
        got = with_flushing(patches(case, data))
        declared, undeclared = (
            error_ratio(got, expected(case, data, Capabilities(flushes_subnormals=flushes))).max()
            for flushes in (True, False)
        )
        assert declared <= 1
        beyond.append(undeclared > 1)
    assert any(beyond)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_who_may_flush_subnormals_is_given_no_more_room_in_the_normal_range(dtype: str, kind: str):
    case = replace(Case.parse("in2x5x6x3-f4-k2x3-normal.0"), dtype=dtype, data=kind)
    room = bound(case, Capabilities(flushes_subnormals=True)) / bound(case)
    assert (room >= 1).all()
    assert room.max() < 1 + 1e-6


# Slightly wrong ----------------------------------------------------------------------------------


def tf32(values: Array) -> Array:
    """float32 with the ten fraction bits of TensorFloat-32, to nearest even."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & np.uint32(0xFFFFE000)).view(np.float32)


def to_bfloat16(values: Array) -> Array:
    return values.astype(np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)


def without_the_last_product(p: Patches) -> Array:
    return rounded_once(p, in_sequence(products(p, np.float32)[:, :-1], np.float32))


def with_inputs(rounding: Callable[[Array], Array]) -> Callable[[Patches], Array]:
    def wrong(p: Patches) -> Array:
        rounded = replace(p, read=rounding(p.read), weights=rounding(p.weights))
        return rounded_once(rounded, in_sequence(products(rounded, np.float32), np.float32))

    return wrong


def with_sixteen_bit_sums(p: Patches) -> Array:
    dtype = as_dtype(p.case.compute_dtype)
    return as_keras(p, in_sequence(products(p, np.float32), dtype))


def with_output_of_sixteen_bits(p: Patches) -> Array:
    right = rounded_once(p, in_sequence(products(p, np.float32), np.float32))
    return right.astype(np.float16).astype(np.float32)


def cut_off(p: Patches) -> Array:
    """bfloat16 by dropping the lower half of float32, in place of rounding."""
    sums = in_sequence(products(p, np.float32), np.float32) + p.bias.astype(np.float32)
    bits = sums.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return p.arranged(bits.view(np.float32).astype(ml_dtypes.bfloat16))


SMALL = "in2x6x7x4-f5-k3-normal.0"
LONG = "in1x6x6x33-f4-k3x5-same-{dtype}-normal.0"
WRONG: dict[str, tuple[Callable[[Patches], Array], str]] = {
    "one product is dropped": (without_the_last_product, SMALL),
    "inputs are rounded to TF32": (with_inputs(tf32), SMALL),
    "inputs are rounded to bfloat16": (with_inputs(to_bfloat16), SMALL),
    "the output is rounded to float16": (with_output_of_sixteen_bits, SMALL),
    "float16 is summed in float16": (with_sixteen_bit_sums, LONG.format(dtype="float16")),
    "bfloat16 is cut off": (cut_off, f"{SMALL[:-9]}-nobias-bfloat16-normal.0"),
    "bfloat16 is cut off after the bias": (cut_off, f"{SMALL[:-9]}-bfloat16-normal.0"),
    "bfloat16 is summed in bfloat16": (with_sixteen_bit_sums, LONG.format(dtype="bfloat16")),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_slightly_wrong_sum_is_beyond_the_bound(name: str):
    wrong, text = WRONG[name]
    ratios = []
    for seed in range(10):
        case = replace(Case.parse(text), seed=seed)
        ratios.append(judged(case, wrong(patches(case, arrays(case)))))
    assert min(ratios) > 1


@pytest.mark.parametrize("name", ["one product is dropped", "inputs are rounded to TF32"])
def test_a_slightly_wrong_sum_is_caught_on_what_is_drawn(name: str):
    caught = []

    @settings(max_examples=60, database=None)
    @given(cases(dtype=None, data="normal").filter(lambda c: c.geometry.output_shape[0] > 0))
    def judge(case: Case) -> None:
        caught.append(judged(case, WRONG[name][0](patches(case, arrays(case)))) > 1)

    judge()
    assert sum(caught) >= len(caught) / 2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_of_16_bits_without_a_bias_mostly_one_number_is_right(dtype: str):
    """That of rounding once to nearest; both neighbours only where the sum is near the middle."""
    case = Case.parse(f"in2x6x7x4-f5-k3-nobias-{dtype}-normal.0")
    want = expected(case, arrays(case), EVERYTHING)
    upward, downward = (
        np.nextafter(want.rounded, as_dtype(dtype).type(end)) for end in (np.inf, -np.inf)
    )
    right = sum((error_ratio(got, want) <= 1).mean() for got in (upward, downward))
    assert (error_ratio(want.rounded, want) <= 1).all()
    assert right < 0.2


# Exact data --------------------------------------------------------------------------------------


@given(examples().map(lambda e: e[0]))
def test_exact_data_allows_no_error(case: Case):
    want = expected(case, arrays(case), SUMS_IN_FLOAT32)
    assert want.exact == (case.activation in EXACT_ACTIVATIONS)
    if want.exact:
        assert not want.bound.any()
        assert np.array_equal(want.rounded.astype(np.float64), want.value)


@pytest.mark.parametrize("dtype", FORMATS)
def test_on_exact_data_one_last_bit_is_an_infinite_error(dtype: str):
    case = replace(Case.parse("in1x4x4x2-f2-k3-integers.0"), dtype=dtype)
    want = expected(case, arrays(case), EVERYTHING)
    wrong = want.rounded.copy()
    assert error_ratio(wrong, want).max() == 0
    wrong[0, 0, 0, 0] = np.nextafter(wrong[0, 0, 0, 0], as_dtype(dtype).type(1000))
    assert error_ratio(wrong, want).tolist()[0][0][0][0] == math.inf
    assert np.isposinf(error_ratio(wrong, want)).sum() == 1


@pytest.mark.parametrize("name", sorted(filter(None, EXACT_ACTIVATIONS)))
def test_exact_activations_map_integers_to_integers(name: str):
    integers = np.arange(-300.0, 301.0)
    values = activations.get(name)(integers)
    assert (values == np.round(values)).all()


def test_infinity_is_right_only_where_the_range_may_be_left():
    case = Case.parse("in1x1x1x1-f1-k1-nobias-float16-normal.0")
    fmt = format_of("float16")
    data = arrays(case)
    for x, near in ((60000, True), (200, False)):
        data.x[...], data.kernel[...] = x, 2
        want = expected(case, data, SUMS_IN_FLOAT32)
        for wrong in (np.inf, np.nan):
            ratio = error_ratio(np.full((1, 1, 1, 1), wrong, fmt.dtype), want).item()
            assert ratio == (0 if near else np.inf)


def test_ratios_are_errors_over_bounds():
    value = np.array([1.0, 1.0, 1.0, 1.0, 1.0])
    bound = np.array([0.5, 0.5, 0.0, 0.0, 0.5])
    none = np.zeros(5, bool)
    want = Expected(value, bound, none, format_of("float64"), exact=False)
    got = np.array([1.25, 2.0, 1.0, 1.5, np.nan])
    assert error_ratio(got, want).tolist() == [0.5, 2.0, 0.0, math.inf, math.inf]


# Activations -------------------------------------------------------------------------------------

F = np.float32
_erf = np.vectorize(math.erf, otypes=[np.float32])


def _sigmoid(z: Array) -> Array:
    return (F(1) / (F(1) + np.exp(-z))).astype(F)


def _softplus(z: Array) -> Array:
    return np.logaddexp(z, F(0)).astype(F)


def _exp_below(z: Array) -> Array:
    return np.exp(z - z.max(axis=-1, keepdims=True, initial=-np.inf))


def _sparsemax(z: Array) -> Array:
    """By search: the threshold at which what stays above it sums to 1."""
    if not z.size:
        return z
    ordered = np.sort(z, axis=-1)[..., ::-1]
    sums = np.cumsum(ordered, axis=-1, dtype=F)
    number = np.arange(1, z.shape[-1] + 1, dtype=F)
    size = (F(1) + number * ordered > sums).sum(axis=-1, keepdims=True)
    tau = (np.take_along_axis(sums, size - 1, -1) - F(1)) / size.astype(F)
    return np.maximum(z - tau, F(0))


IN_FLOAT32: dict[str, Callable[[Array], Array]] = {
    "celu": lambda z: np.maximum(z, F(0)) + np.expm1(np.minimum(z, F(0))),
    "elu": lambda z: np.where(z > 0, z, np.exp(np.minimum(z, F(0))) - F(1)),
    "exponential": np.exp,
    "gelu": lambda z: F(0.5) * z * (F(1) + _erf(z * F(math.sqrt(0.5)))),
    "glu": lambda z: np.split(z, 2, -1)[0] * _sigmoid(np.split(z, 2, -1)[1]),
    "hard_shrink": lambda z: np.where((z > 0.5) | (z < -0.5), z, F(0)),
    "hard_sigmoid": lambda z: np.clip(z / F(6) + F(0.5), F(0), F(1)),
    "hard_silu": lambda z: z * np.clip(z / F(6) + F(0.5), F(0), F(1)),
    "hard_swish": lambda z: z * np.clip(z + F(3), F(0), F(6)) * F(1 / 6),
    "hard_tanh": lambda z: np.minimum(np.maximum(z, F(-1)), F(1)),
    "leaky_relu": lambda z: np.maximum(z, F(0.2) * z),
    "linear": lambda z: z,
    "log_sigmoid": lambda z: -_softplus(-z),
    "log_softmax": lambda z: (
        z
        - z.max(axis=-1, keepdims=True, initial=-np.inf)
        - np.log(_exp_below(z).sum(axis=-1, keepdims=True))
    ),
    "mish": lambda z: z * np.tanh(_softplus(z)),
    "relu": lambda z: z * (z > 0).astype(F),
    "relu6": lambda z: np.minimum(np.maximum(z, F(0)), F(6)),
    "selu": lambda z: (
        F(1.0507009873554805)
        * np.where(z > 0, z, F(1.6732632423543772) * (np.exp(np.minimum(z, F(0))) - F(1)))
    ),
    "sigmoid": _sigmoid,
    "silu": lambda z: z / (F(1) + np.exp(-z)),
    "swish": lambda z: z * _sigmoid(z),
    "soft_shrink": lambda z: np.sign(z) * np.maximum(abs(z) - F(0.5), F(0)),
    "softmax": lambda z: _exp_below(z) / _exp_below(z).sum(axis=-1, keepdims=True),
    "softplus": _softplus,
    "softsign": lambda z: z / (abs(z) + F(1)),
    "sparse_plus": lambda z: np.where(
        z <= -1, F(0), np.where(z < 1, F(0.25) * (z + F(1)) * (z + F(1)), z)
    ),
    "sparse_sigmoid": lambda z: np.clip(F(0.5) * (z + F(1)), F(0), F(1)),
    "sparsemax": _sparsemax,
    "squareplus": lambda z: F(0.5) * (z + np.sqrt(z * z + F(4))),
    "tanh": np.tanh,
    "tanh_shrink": lambda z: z - np.tanh(z),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_an_activation_evaluated_in_float32_is_within_the_bound(name: str, dtype: str):
    """Of a sum with the worst error that Keras' own steps may make."""
    for seed in range(4):
        for kind in ("integers", *KINDS):
            for layout in ("cl", "cf"):
                text = f"in2x6x6x6-f6-k2x1-{layout}-a.{name}-{dtype}-{kind}.{seed}"
                case = Case.parse(text)
                p = patches(case, arrays(case))
                z = as_keras(p, in_sequence(products(p, np.float32), np.float32))
                got = IN_FLOAT32[name](z.astype(F))
                assert got.dtype == F
                assert judged(case, got.astype(as_dtype(dtype))) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_activation_is_beyond_the_bound(name: str):
    other = "softsign" if name in ("tanh", "softmax", "glu") else "tanh"
    case = Case.parse(f"in2x5x6x3-f6-k2-a.{name}-normal.0")
    p = patches(case, arrays(case))
    z = as_keras(p, in_sequence(products(p, np.float32), np.float32))
    got = IN_FLOAT32[other](z)
    got = got[..., :3] if name == "glu" else got
    assert judged(case, got) > 1
