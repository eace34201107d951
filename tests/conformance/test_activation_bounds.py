"""Every way to evaluate an activation as published is right, other functions are not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conformance.activation_bounds import FORMULAS, MIXING, Image, image
from conformance.criteria import Expected, error_ratio
from conformance.data import KNEES
from reference_impl import activations
from reference_impl.activations import SELU_ALPHA, SELU_SCALE
from reference_impl.dtypes import FORMATS, FloatFormat

Array = NDArray[Any]
Function = Callable[[Array], Array]
NAMES = sorted({*activations.ACTIVATIONS, *activations.ALIASES} - {"threshold"})

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid|underflow|divide):RuntimeWarning")


def arguments(fmt: FloatFormat) -> Array:
    """All numbers of 16 bits in the normal range; else many of all sizes, and about knees."""
    if fmt.precision <= 11:
        every = np.arange(2**16, dtype=np.uint16).view(fmt.dtype)
        size = abs(every.astype(np.float64))
        return every[np.isfinite(size) & ((size == 0) | (size >= 2.0**fmt.min_exponent))]
    rng = np.random.default_rng(0)
    sizes = np.exp2(rng.uniform(-30, 12, 4000)) * rng.choice([-1, 1], 4000)
    knees = rng.choice([k for at in KNEES.values() for k in at], 4000)
    beside = knees * (1 + np.exp2(rng.uniform(-fmt.precision, -2, 4000)))
    return np.concatenate([sizes, beside, knees]).astype(fmt.dtype)


def vectors(fmt: FloatFormat) -> Array:
    """Vectors for activations that mix."""
    rng = np.random.default_rng(0)
    spread = np.exp2(rng.uniform(-3, 4, (300, 1)))
    return (rng.standard_normal((300, 12)) * spread).astype(fmt.dtype)


def exact(name: str, z: Array, fmt: FloatFormat) -> Image:
    """What the activation may give for numbers that are no sums."""
    wide = z.astype(np.float64)
    return image(name, wide, np.zeros_like(wide), fmt)


def ratio(name: str, z: Array, got: Array, fmt: FloatFormat) -> Array:
    """Errors over bounds, 0 where the range of the format may be left."""
    may = exact(name, z, fmt)
    overflow = abs(may.value) + may.bound >= fmt.largest
    want = Expected(
        may.value, may.bound, overflow, fmt, exact=False, least=may.least, most=may.most
    )
    return np.where(overflow, 0, error_ratio(got, want))


# Formulas, each step rounded in the format of the argument ----------------------------------------


def of(z: Array, number: float) -> Any:
    return z.dtype.type(number)


def erf(z: Array) -> Array:
    """In float32 and wider, rounded to the format."""
    return np.vectorize(math.erf, otypes=[float])(z.astype(float)).astype(z.dtype)


def sigmoid(z: Array) -> Array:
    return of(z, 1) / (of(z, 1) + np.exp(-z))


def softplus(z: Array) -> Array:
    return np.log(of(z, 1) + np.exp(z))


def log_add_exp(z: Array) -> Array:
    return np.maximum(z, of(z, 0)) + np.log1p(np.exp(-abs(z)))


def cut_off(z: Array) -> Array:
    """softplus that is its argument where ``exp(-z)`` is below half a ULP of it."""
    end = {"float16": 7.0, "bfloat16": 4.5, "float32": 16.0, "float64": 36.0}[z.dtype.name]
    near = np.log1p(np.exp(np.minimum(z, of(z, end))))
    return np.where(z > of(z, end), z, np.where(z < of(z, -end), np.exp(z), near))


def gelu(z: Array) -> Array:
    return of(z, 0.5) * z * (of(z, 1) + erf(z * of(z, math.sqrt(0.5))))


def gelu_by_tanh(z: Array) -> Array:
    inner = of(z, math.sqrt(2 / math.pi)) * (z + of(z, 0.044715) * z * z * z)
    return of(z, 0.5) * z * (of(z, 1) + np.tanh(inner))


def clip(z: Array, least: Any, most: Any) -> Array:
    return np.minimum(np.maximum(z, least), most)


def relu6(z: Array) -> Array:
    return clip(z, of(z, 0), of(z, 6))


def left(z: Array) -> Array:
    return np.minimum(z, of(z, 0))


def below(z: Array) -> Array:
    return z - z.max(axis=-1, keepdims=True)


def total(weights: Array) -> Array:
    """One after the other."""
    found = weights[..., :1]
    for n in range(1, weights.shape[-1]):
        found = found + weights[..., n : n + 1]
    return found


def softmax(z: Array) -> Array:
    weights = np.exp(below(z))
    return weights / total(weights)


def glu(z: Array) -> Array:
    values, gates = np.split(z, 2, axis=-1)
    return values * sigmoid(gates)


PUBLISHED: list[tuple[str, Function]] = [
    ("linear", lambda z: z),
    ("relu", lambda z: np.maximum(z, of(z, 0))),
    ("relu6", relu6),
    ("hard_tanh", lambda z: clip(z, of(z, -1), of(z, 1))),
    ("hard_shrink", lambda z: np.where(abs(z) > of(z, 0.5), z, of(z, 0))),
    ("leaky_relu", lambda z: np.where(z > 0, z, of(z, 0.2) * z)),
    ("soft_shrink", lambda z: np.sign(z) * np.maximum(abs(z) - of(z, 0.5), of(z, 0))),
    ("hard_sigmoid", lambda z: relu6(z + of(z, 3)) / of(z, 6)),
    ("hard_sigmoid", lambda z: relu6(z + of(z, 3)) * of(z, 1 / 6)),
    ("hard_sigmoid", lambda z: clip(z / of(z, 6) + of(z, 0.5), of(z, 0), of(z, 1))),
    ("hard_silu", lambda z: z * (relu6(z + of(z, 3)) / of(z, 6))),
    ("sparse_plus", lambda z: np.where(
        z <= -1, of(z, 0), np.where(z < 1, of(z, 0.25) * (z + of(z, 1)) ** 2, z))),
    ("sparse_sigmoid", lambda z: clip(of(z, 0.5) * (z + of(z, 1)), of(z, 0), of(z, 1))),
    ("softsign", lambda z: z / (of(z, 1) + abs(z))),
    ("elu", lambda z: np.where(z > 0, z, np.exp(left(z)) - of(z, 1))),
    ("elu", lambda z: np.where(z > 0, z, np.expm1(left(z)))),
    ("celu", lambda z: np.maximum(z, of(z, 0)) + np.expm1(left(z))),
    ("selu", lambda z: of(z, SELU_SCALE) * np.where(
        z > 0, z, of(z, SELU_ALPHA) * (np.exp(left(z)) - of(z, 1)))),
    ("exponential", np.exp),
    ("sigmoid", sigmoid),
    ("sigmoid", lambda z: np.where(z < 0, np.exp(left(z)), of(z, 1)) / (
        of(z, 1) + np.exp(-abs(z)))),
    ("log_sigmoid", lambda z: -log_add_exp(-z)),
    ("log_sigmoid", lambda z: -cut_off(-z)),
    ("softplus", log_add_exp),
    ("softplus", cut_off),
    ("silu", lambda z: z * sigmoid(z)),
    ("silu", lambda z: z / (of(z, 1) + np.exp(-z))),
    ("mish", lambda z: z * np.tanh(log_add_exp(z))),
    ("gelu", gelu),
    ("tanh", np.tanh),
    ("tanh_shrink", lambda z: z - np.tanh(z)),
    ("softmax", softmax),
    ("softmax", lambda z: np.exp(below(z)) * (of(z, 1) / total(np.exp(below(z))))),
    ("log_softmax", lambda z: below(z) - np.log(total(np.exp(below(z))))),
    ("glu", glu),
]  # fmt: skip


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("name", "formula"), PUBLISHED)
def test_a_formula_rounded_at_every_step_is_right(name: str, formula: Function, dtype: str):
    fmt = FORMATS[dtype]
    z = vectors(fmt) if name in MIXING else arguments(fmt)
    got = formula(z)
    assert got.dtype == fmt.dtype
    assert ratio(name, z, got, fmt).max() <= 1


def test_exp_may_be_scaled_in_two_steps():
    """As oneDNN does: of 2 * 2^(n - 1), the first is 0 where it is below the normal range."""

    def exp(z: Array) -> Array:
        n = np.round(z.astype(np.float64) / np.log(2))
        flushed = n - 1 < FORMATS["float32"].min_exponent
        return np.where(flushed, of(z, 0), np.exp(z))

    z = np.array([[0, -87.0], [0, -87.1], [0, -87.3]], np.float32)
    got = exp(z) / total(exp(z))
    assert (got[:, 1] == 0).all()
    assert ratio("softmax", z, got, FORMATS["float32"]).max() <= 1
    got[:, 1] = 4 * 2.0**-126
    assert (ratio("softmax", z, got, FORMATS["float32"])[:, 1] > 1).all()
    z = np.array([-87.0, -87.3], np.float32)
    assert (ratio("silu", z, z * exp(z), FORMATS["float32"]) <= 1).all()
    assert (ratio("silu", z, 3 * z * np.exp(z), FORMATS["float32"]) > 1).all()


def test_log_softmax_may_not_add_the_maximum_to_the_logarithm():
    """That rounds in the size of the maximum; Keras documents ``x - max(x) - log(...)``."""
    fmt, z = FORMATS["float16"], np.array([[1000, 1000]], np.float16)
    got = z - (z.max(axis=-1, keepdims=True) + np.log(total(np.exp(below(z)))))
    assert ratio("log_softmax", z, got, fmt).max() > 1


def test_squares_of_squareplus_may_not_overflow():
    """Where they do not, each step may be rounded."""
    for fmt in FORMATS.values():
        z = arguments(fmt)
        z = z[abs(z.astype(float)) < 250]
        got = (z + np.sqrt(z * z + of(z, 4))) * of(z, 0.5)
        assert ratio("squareplus", z, got, fmt).max() <= 1
    z = np.array([300], np.float16)
    assert (
        ratio("squareplus", z, (z + np.sqrt(z * z + of(z, 4))) / of(z, 2), FORMATS["float16"]) > 1
    )


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_the_reference_is_right(name: str, dtype: str):
    fmt = FORMATS[dtype]
    z = vectors(fmt) if name in MIXING else arguments(fmt)
    assert ratio(name, z, activations.get(name)(z), fmt).max() <= 1


# What is not the function -------------------------------------------------------------------------

WRONG: list[tuple[str, str, Function]] = [
    ("gelu", "the formula with tanh", gelu_by_tanh),
    ("gelu", "z sigmoid(1.702 z)", lambda z: z * sigmoid(of(z, 1.702) * z)),
    ("leaky_relu", "the slope of Keras 2", lambda z: np.where(z > 0, z, of(z, 0.3) * z)),
    ("leaky_relu", "the slope of PyTorch", lambda z: np.where(z > 0, z, of(z, 0.01) * z)),
    ("hard_sigmoid", "the formula of Keras 2", lambda z: clip(
        of(z, 0.2) * z + of(z, 0.5), of(z, 0), of(z, 1))),
    ("selu", "constants of four digits", lambda z: of(z, 1.051) * np.where(
        z > 0, z, of(z, 1.673) * np.expm1(left(z)))),
    ("softplus", "linear from 10 on", lambda z: np.where(z > 10, z, log_add_exp(z))),
    ("softplus", "zero up to -10", lambda z: np.where(z < -10, of(z, 0), log_add_exp(z))),
    ("mish", "linear from 5 on", lambda z: np.where(z > 5, z, z * np.tanh(log_add_exp(z)))),
    ("tanh", "clipped at 3", lambda z: np.tanh(clip(z, of(z, -3), of(z, 3)))),
    ("sigmoid", "by softsign", lambda z: of(z, 0.5) * (of(z, 1) + z / (of(z, 1) + abs(z)))),
    ("hard_shrink", "its own end included", lambda z: np.where(abs(z) >= 0.5, z, of(z, 0))),
    ("relu6", "to 6 - 2**-20", lambda z: clip(z, of(z, 0), of(z, 6 - 2**-20))),
    ("sparse_plus", "shifted", lambda z: np.where(
        z <= -1, of(z, 0), np.where(z < 1, of(z, 0.25) * (z + of(z, 1.0001)) ** 2, z))),
    ("softmax", "without its sum", lambda z: np.exp(below(z))),
    ("log_softmax", "base 2", lambda z: below(z) - np.log2(total(np.exp(below(z))))),
    ("glu", "the halves exchanged", lambda z: glu(np.roll(z, 6, axis=-1))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "what", "function"), WRONG)
def test_another_function_is_wrong_in_float32(name: str, what: str, function: Function):
    fmt = FORMATS["float32"]
    z = vectors(fmt) if name in MIXING else arguments(fmt)
    assert ratio(name, z, function(z), fmt).max() > 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["relu6", "leaky_relu", "hard_sigmoid", "tanh", "selu", "elu"])
def test_in_16_bits_a_few_units_are_wrong(name: str, dtype: str):
    """A result that is off by 24 unit roundoffs; the largest bound here is of 14."""
    fmt = FORMATS[dtype]
    z = np.array([-2, -1, -0.75, 0.75, 1, 2], fmt.dtype)
    right = activations.get(name)(z).astype(float)
    got = (right * (1 + 24 * fmt.unit_roundoff)).astype(fmt.dtype)
    assert ratio(name, z, got, fmt).max() > 1


# Rules of range, sign and order -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "z", "wrong"),
    [
        ("softplus", -80.0, -1e-30),
        ("log_sigmoid", 80.0, 1e-30),
        ("sigmoid", 40.0, np.nextafter(np.float32(1), np.float32(2))),
        ("sigmoid", -86.0, -1e-37),
        ("tanh", 20.0, np.nextafter(np.float32(1), np.float32(2))),
        ("tanh", -20.0, np.nextafter(np.float32(-1), np.float32(-2))),
        ("softsign", 1e9, np.nextafter(np.float32(1), np.float32(2))),
        ("elu", -50.0, np.nextafter(np.float32(-1), np.float32(-2))),
        ("exponential", -100.0, -1e-40),
        ("hard_sigmoid", 10.0, np.nextafter(np.float32(1), np.float32(2))),
        ("gelu", -8.0, 1e-9),
        ("silu", -90.0, 1e-38),
        ("squareplus", -1e6, -1e-3),
    ],
)
def test_leaving_the_range_is_wrong_however_little(name: str, z: float, wrong: float):
    fmt = FORMATS["float32"]
    at = np.array([z], np.float32)
    assert ratio(name, at, np.array([-0.0 if wrong > 0 else 0.0], np.float32), fmt) <= 1 or (
        abs(activations.get(name)(at)) > 0.5
    )
    got = np.array([wrong], np.float32)
    assert abs(got - activations.get(name)(at)) <= exact(name, at, fmt).bound
    assert ratio(name, at, got, fmt) == np.inf


@pytest.mark.parametrize("name", sorted({*NAMES} - {*MIXING}))
def test_every_value_of_the_interval_is_right_and_within_the_range(name: str):
    fmt, rng = FORMATS["float32"], np.random.default_rng(0)
    z = np.concatenate(
        [rng.uniform(-9, 9, 500), rng.choice([k for v in KNEES.values() for k in v], 500)]
    )
    for scale in (1e-6, 1e-2, 1.0):
        error = scale * rng.random(z.shape)
        may = image(name, z, error, fmt)
        assert (may.least <= may.most).all()
        for share in np.linspace(-1, 1, 21):
            value = activations.get(name)(z + share * error)
            assert (value >= may.least).all()
            assert (value <= may.most).all()
            assert (abs(value - may.value) <= may.bound).all()


@pytest.mark.parametrize("name", sorted(MIXING))
def test_every_value_of_the_intervals_of_a_vector_is_right(name: str):
    fmt, rng = FORMATS["float32"], np.random.default_rng(0)
    z = vectors(FORMATS["float64"])
    for scale in (1e-6, 1e-2, 1.0):
        error = scale * rng.random(z.shape)
        may = image(name, z, error, fmt)
        for _ in range(20):
            value = activations.get(name)(z + error * rng.choice([-1, 0, 1], z.shape))
            assert (value >= may.least).all()
            assert (value <= may.most).all()


@pytest.mark.parametrize("name", ["relu", "relu6", "tanh", "sigmoid", "softplus", "exponential"])
def test_results_of_sums_that_certainly_differ_are_in_order(name: str):
    """But for roundings of the formula: what the lower one may give at most, the higher one may."""
    z, error = np.array([-1.0, 1.0, 3.0]), np.array([0.99, 0.99, 0.99])
    may = image(name, z, error, FORMATS["float64"])
    slack = 1e-12
    assert (may.most[:-1] <= may.least[1:] + slack).all()


@pytest.mark.parametrize("name", NAMES)
def test_of_a_sum_that_may_be_infinite_nothing_but_the_range_is_known(name: str):
    z = np.full((1, 4), 3.0)
    may = image(name, z, np.full_like(z, np.inf), FORMATS["float32"])
    for value in (0.5, 0.0, 1.0):
        if name != "log_softmax" and name != "log_sigmoid":
            assert ((may.least <= value) & (value <= may.most)).all()
        assert (abs(value - may.value) <= may.bound).all()


def test_every_activation_has_a_row():
    assert {*FORMULAS, *MIXING} == {*NAMES}
    assert {*KNEES} <= {*NAMES}
