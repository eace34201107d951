"""The activation functions have Keras' values, names and identifier rules."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from reference_impl import activations

DTYPES = ("float16", "bfloat16", "float32", "float64")
NAMES = sorted({*activations.ACTIVATIONS, *activations.ALIASES})
CALLABLE_ALONE = [name for name in NAMES if name != "threshold"]
# Keras 3.15.1 does not compute what it documents as sparsemax; see the tests of that name.
AS_IN_KERAS = [name for name in CALLABLE_ALONE if name != "sparsemax"]

GRID = np.concatenate([np.linspace(-20.0, 20.0, 401), np.geomspace(1e-6, 1e3, 60)])
GRID = np.concatenate([GRID, -GRID[GRID > 0], [0.0]])
GRID = GRID[: GRID.size // 12 * 12].reshape(-1, 12)
SPECIAL = np.array([-np.inf, -1e4, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0, np.inf, np.nan])

# What each function is at exactly representable points where its value is exactly representable.
EXACT = {
    "linear": {-2.5: -2.5, 0.0: 0.0, 7.0: 7.0},
    "relu": {-2.5: 0.0, 0.0: 0.0, 2.5: 2.5},
    "relu6": {-1.0: 0.0, 2.5: 2.5, 6.0: 6.0, 7.0: 6.0},
    "hard_tanh": {-2.0: -1.0, -0.5: -0.5, 0.25: 0.25, 1.5: 1.0},
    "hard_shrink": {-0.5: 0.0, 0.5: 0.0, 0.75: 0.75, -2.0: -2.0},
    "soft_shrink": {-0.5: 0.0, 0.25: 0.0, 0.75: 0.25, -2.0: -1.5},
    "hard_sigmoid": {-3.0: 0.0, 0.0: 0.5, 3.0: 1.0, 1.5: 0.75, -1.5: 0.25},
    "hard_silu": {-4.0: 0.0, 0.0: 0.0, 3.0: 3.0, 1.5: 1.125},
    "sparse_sigmoid": {-1.0: 0.0, 0.0: 0.5, 0.5: 0.75, 2.0: 1.0},
    "sparse_plus": {-1.0: 0.0, 0.0: 0.25, 0.5: 0.5625, 2.0: 2.0},
    "softsign": {1.0: 0.5, -1.0: -0.5, 3.0: 0.75},
    "squareplus": {0.0: 1.0},
    "sigmoid": {0.0: 0.5},
    "elu": {2.0: 2.0},
    "leaky_relu": {2.0: 2.0},
}


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


def keras_value(keras: Any, name: str, x: Any) -> Any:
    return np.asarray(keras.activations.get(name)(keras.ops.convert_to_tensor(x)))


def our_value(name: str, x: Any) -> Any:
    # TensorFlow keeps these two constants in float32, also for float64 values.
    if name == "leaky_relu":
        return activations.leaky_relu(x, negative_slope=float(np.float32(0.2)))
    if name == "gelu":
        ratio = float(np.float32(math.sqrt(0.5))) * math.sqrt(2.0)
        return activations.gelu(x * ratio) / ratio
    return activations.get(name)(x)


def ulps(difference: Any, scale: Any) -> Any:
    """``difference`` in units in the last place of numbers as large as ``scale``."""
    return np.abs(difference) / np.spacing(np.abs(scale).astype(np.float64))


def test_the_names_are_those_of_keras(keras: Any) -> None:
    from keras.src.activations import ALL_OBJECTS_DICT

    assert set(NAMES) == set(ALL_OBJECTS_DICT)


@pytest.mark.parametrize("name", AS_IN_KERAS)
def test_float64_values_agree_with_keras(keras: Any, name: str) -> None:
    # Keras' formulas have at most a dozen float64 operations, on terms no larger than
    # max(1, |x|), |x| being the largest of its vector for those that mix a vector. Each operation
    # errs by at most 1 ulp of its result (exp and its kin included), so 16 ulp of that size
    # separate any two evaluations. Where a value is small by cancellation (gelu's left tail) ours
    # is the accurate one and Keras' error is still bounded by the size of its terms.
    ours, theirs = our_value(name, GRID), keras_value(keras, name, GRID)
    size = np.maximum(1.0, np.abs(GRID))
    if name in ("softmax", "log_softmax"):
        size = np.broadcast_to(np.max(size, axis=-1, keepdims=True), GRID.shape)
    elif name == "glu":
        size = np.maximum(1.0, np.abs(GRID[..., :6]))
    scale = np.maximum(size, np.abs(theirs))
    if name == "exponential":
        # The argument's last bit counts |x| times in the result.
        scale = np.maximum(np.abs(theirs), 1e-300)
    # exp overflows on both sides alike.
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, ulps(ours - theirs, np.where(same, 1.0, scale)))
    assert np.max(distance) <= 16


@pytest.mark.parametrize("name", AS_IN_KERAS)
def test_special_values_agree_with_keras(keras: Any, name: str) -> None:
    # One value per vector, so that a NaN does not reach the others; glu needs two.
    x = np.stack([SPECIAL] * 2, axis=-1) if name == "glu" else SPECIAL[:, None]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are using a softmax over axis")
        theirs = keras_value(keras, name, x)
    ours = our_value(name, x)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    assert np.array_equal(np.isinf(ours), np.isinf(theirs))
    assert np.array_equal(np.sign(ours[~np.isnan(ours)]), np.sign(theirs[~np.isnan(theirs)]))


@pytest.mark.parametrize("name", CALLABLE_ALONE)
def test_float32_values_are_the_float64_ones_rounded(name: str) -> None:
    x = GRID.astype(np.float32)
    with np.errstate(over="ignore"):
        expected = activations.get(name)(x.astype(np.float64)).astype(np.float32)
    assert np.array_equal(activations.get(name)(x), expected, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLABLE_ALONE)
def test_an_activation_keeps_dtype_and_input_and_does_not_warn(name: str, dtype: str) -> None:
    x = np.concatenate([GRID, np.full((1, 12), np.inf), np.full((1, 12), np.nan)])
    with np.errstate(over="ignore"):
        x = x.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    before = x.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = activations.get(name)(x)
    assert y.dtype == x.dtype
    assert y.shape == ((*x.shape[:-1], 6) if name == "glu" else x.shape)
    assert not np.shares_memory(x, y)
    assert x.tobytes() == before.tobytes()


@pytest.mark.parametrize("name", CALLABLE_ALONE)
def test_an_activation_takes_an_empty_array(name: str) -> None:
    for shape in ((0, 3, 3, 4), (2, 0, 3, 4), (2, 4, 3, 0)):
        expected = (*shape[:-1], shape[-1] // 2) if name == "glu" else shape
        assert activations.get(name)(np.zeros(shape, np.float32)).shape == expected


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(EXACT))
def test_exact_points_are_exact(name: str, dtype: str) -> None:
    target = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    x = np.array(list(EXACT[name]), np.float64).astype(target)
    expected = np.array(list(EXACT[name].values()), np.float64)
    assert activations.get(name)(x).astype(np.float64).tolist() == expected.tolist()


RELU_ARGUMENTS = [
    {"negative_slope": 0.25},
    {"max_value": 6.0},
    {"max_value": 2.0, "threshold": 1.0},
    {"threshold": -1.0},
    {"negative_slope": 0.5, "threshold": 1.5},
    {"negative_slope": 0.5, "max_value": 3.0, "threshold": 0.5},
]


@pytest.mark.parametrize("arguments", RELU_ARGUMENTS, ids=repr)
def test_relu_with_arguments_is_keras_relu(keras: Any, arguments: dict[str, float]) -> None:
    # Powers of two and short sums: every operation is exact, so the values are equal.
    x = np.arange(-40, 41, dtype=np.float64) / 8
    expected = np.asarray(keras.activations.relu(keras.ops.convert_to_tensor(x), **arguments))
    assert activations.relu(x, **arguments).tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_does_not_overflow(name: str) -> None:
    x = np.array([[1000.0, 1000.0], [-1000.0, -1000.0]], np.float32)
    value = 0.5 if name == "softmax" else -np.log(2.0)
    assert np.array_equal(activations.get(name)(x), np.full((2, 2), value, np.float32))


def test_sparsemax_projects_onto_the_simplex() -> None:
    y = activations.sparsemax(np.array([[0.5, 0.25, -1.0], [3.0, 0.0, 0.0]]))
    assert y.tolist() == [[0.625, 0.375, 0.0], [1.0, 0.0, 0.0]]


def test_sparsemax_agrees_with_keras_where_one_element_remains(keras: Any) -> None:
    x = np.array([[-2.0, -3.0, -4.0], [5.0, 1.0, 3.0]])
    assert activations.sparsemax(x).tolist() == keras_value(keras, "sparsemax", x).tolist()


def test_sparsemax_of_keras_leaves_the_simplex_where_more_remain(keras: Any) -> None:
    # Keras 3.15.1 takes the sum of all partial sums for tau, in place of the last one.
    x = np.array([[0.5, 0.25, -1.0]])
    assert keras_value(keras, "sparsemax", x).tolist() == [[0.375, 0.125, 0.0]]


def test_a_bfloat16_value_is_rounded_once() -> None:
    # 1 + 2**-8 lies halfway between two bfloat16 numbers; a little more must round up, although
    # float32 on the way would lose that little.
    x = np.array([1 + 2.0**-7], ml_dtypes.bfloat16)
    y = activations.relu(x, negative_slope=0.0, max_value=1 + 2.0**-8 + 2.0**-40)
    assert float(y[0]) == 1 + 2.0**-7


def test_glu_needs_an_even_axis() -> None:
    with pytest.raises(ValueError, match="divisible by 2"):
        activations.glu(np.zeros((2, 3)))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leads_to_its_function_and_back(keras: Any, name: str) -> None:
    function = activations.get(name)
    assert activations.serialize(function) == keras.activations.serialize(
        keras.activations.get(name)
    )
    assert activations.get(activations.serialize(function)) is function


def test_none_is_linear_and_callables_are_kept() -> None:
    assert activations.get(None) is activations.linear
    assert activations.get(len) is len


def test_a_user_function_is_serialised_as_keras_does(keras: Any) -> None:
    def twice(x: Any) -> Any:
        return 2 * x

    assert activations.serialize(twice) == keras.activations.serialize(twice)


@pytest.mark.parametrize("identifier", ["RELU", "", 3, True, {}, ["relu"]], ids=repr)
def test_an_unknown_identifier_is_refused(identifier: Any) -> None:
    with pytest.raises(ValueError, match="Could not interpret activation function identifier"):
        activations.get(identifier)
