"""Initializers draw from Keras' distributions; regularizers and constraints have Keras' values."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import pytest

from reference_impl import constraints, initializers, regularizers

SHAPE = (3, 2, 20, 500)
FAN_IN, FAN_OUT = 3 * 2 * 20, 3 * 2 * 500
COUNT = math.prod(SHAPE)
DTYPES = ("float16", "bfloat16", "float32", "float64")

# Name: variance, and the largest absolute value that can be drawn.
DISTRIBUTIONS: dict[str, tuple[float, float]] = {
    "glorot_uniform": (2 / (FAN_IN + FAN_OUT), math.sqrt(6 / (FAN_IN + FAN_OUT))),
    "lecun_uniform": (1 / FAN_IN, math.sqrt(3 / FAN_IN)),
    "he_uniform": (2 / FAN_IN, math.sqrt(6 / FAN_IN)),
    "random_uniform": (0.05**2 / 3, 0.05),
    "random_normal": (0.05**2, math.inf),
    "truncated_normal": ((0.05 * initializers.TRUNCATED_STDDEV) ** 2, 0.1),
    **{
        name: (variance, 2 * math.sqrt(variance) / initializers.TRUNCATED_STDDEV)
        for name, variance in {
            "glorot_normal": 2 / (FAN_IN + FAN_OUT),
            "lecun_normal": 1 / FAN_IN,
            "he_normal": 2 / FAN_IN,
            "variance_scaling": 1 / FAN_IN,
        }.items()
    },
}


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


def seeded(name: str, seed: int = 7) -> Any:
    return type(initializers.get(name))(seed=seed)


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_mean_variance_and_range_are_those_of_the_distribution(name: str) -> None:
    variance, limit = DISTRIBUTIONS[name]
    values = seeded(name)(SHAPE, "float64")
    # Six standard errors; the fourth moment of these distributions is at most 3 variance**2.
    assert abs(values.mean()) < 6 * math.sqrt(variance / COUNT)
    assert abs(np.mean(values**2) / variance - 1) < 6 * math.sqrt(2 / COUNT)
    assert np.max(np.abs(values)) <= limit
    if limit < math.inf:
        assert np.max(np.abs(values)) > 0.999 * limit


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_keras_draws_from_the_same_distribution(keras: Any, name: str) -> None:
    variance, limit = DISTRIBUTIONS[name]
    theirs = np.asarray(keras.initializers.get(name)(SHAPE, "float32")).astype(np.float64)
    assert abs(np.mean(theirs**2) / variance - 1) < 6 * math.sqrt(2 / COUNT)
    assert np.max(np.abs(theirs)) <= limit * (1 + 2.0**-23)


@pytest.mark.parametrize("name", [*sorted(DISTRIBUTIONS), "orthogonal"])
def test_a_seed_fixes_the_numbers(name: str) -> None:
    first = seeded(name)(SHAPE, "float32")
    assert np.array_equal(first, seeded(name)(SHAPE, "float32"))
    assert not np.array_equal(first, seeded(name, 8)(SHAPE, "float32"))
    assert np.array_equal(seeded(name, -1)((3, 3)), seeded(name, -1)((3, 3)))


def test_an_unseeded_instance_repeats_itself_but_not_another() -> None:
    one, other = initializers.GlorotUniform(), initializers.GlorotUniform()
    assert np.array_equal(one((3, 3)), one((3, 3)))
    assert not np.array_equal(one((3, 3)), other((3, 3)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["zeros", "ones", "he_normal", "orthogonal"])
def test_shape_and_dtype_are_as_asked(name: str, dtype: str) -> None:
    values = initializers.get(name)((2, 3, 4, 5), dtype=dtype)
    assert (values.shape, values.dtype.name) == ((2, 3, 4, 5), dtype)


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (1, 1, 3, 8), (5, 5)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape: tuple[int, ...]) -> None:
    matrix = initializers.Orthogonal(gain=2.0, seed=1)(shape, "float64").reshape(-1, shape[-1])
    gram = matrix.T @ matrix if len(matrix) >= shape[-1] else matrix @ matrix.T
    assert np.allclose(gram, 4.0 * np.eye(len(gram)), rtol=0, atol=1e-13)


def test_constant_and_identity() -> None:
    assert initializers.Constant(2.5)((2, 2)).tolist() == [[2.5, 2.5], [2.5, 2.5]]
    assert initializers.Identity(3.0)((2, 3)).tolist() == [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), (1, 1)), ((4,), (4, 4)), ((4, 5), (4, 5)), ((3, 2, 4, 5), (24, 30))],
)
def test_fans_count_the_receptive_field(shape: Any, expected: Any) -> None:
    assert initializers.fans(shape) == expected
    assert initializers.fans((2, 3, 4), [0], [1, 2]) == (2, 12)


def test_an_array_is_its_own_initializer() -> None:
    fill = initializers.get(np.arange(4.0).reshape(2, 2))
    assert fill((2, 2), dtype="float16").tolist() == [[0.0, 1.0], [2.0, 3.0]]
    with pytest.raises(ValueError, match=r"Expected `shape` to be \(2, 2\)"):
        fill((2, 3))


MODULES = {"initializers": initializers, "regularizers": regularizers, "constraints": constraints}
NAMED = [
    (kind, name)
    for kind, module in MODULES.items()
    for name in module.REGISTRY.names
    if name not in ("constant", "Constant", "regularizer", "Regularizer")
]


@pytest.mark.parametrize("kind", MODULES)
def test_the_names_are_those_of_keras(keras: Any, kind: str) -> None:
    import importlib

    theirs = set(importlib.import_module(f"keras.src.{kind}").ALL_OBJECTS_DICT)
    # STFT makes kernels of rank 3, which Conv2D has not, and needs SciPy.
    assert set(MODULES[kind].REGISTRY.names) == theirs - {"STFT", "stft", "STFTInitializer"}


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_a_config_is_that_of_keras_and_leads_back(keras: Any, kind: str, name: str) -> None:
    module, theirs = MODULES[kind], getattr(keras, kind)
    config = module.serialize(module.get(name))
    assert config == theirs.serialize(theirs.get(name))
    again = module.get(config)
    assert type(again) is type(module.get(name))
    assert module.serialize(again) == config


X = np.random.default_rng(0).normal(size=(6, 4))
REGULARIZERS = [
    ("L1", {"l1": 0.25}),
    ("L2", {"l2": 0.3}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("L1L2", {}),
    ("OrthogonalRegularizer", {"factor": 0.5}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]


@pytest.mark.parametrize(("name", "arguments"), REGULARIZERS)
def test_a_penalty_is_that_of_keras(keras: Any, name: str, arguments: dict[str, Any]) -> None:
    ours = getattr(regularizers, name)(**arguments)(X)
    theirs = float(getattr(keras.regularizers, name)(**arguments)(keras.ops.array(X, "float32")))
    assert isinstance(ours, float)
    # Keras sums at most 36 float32 terms here: 40 roundings of 2**-24 each.
    assert ours == pytest.approx(theirs, rel=40 * 2.0**-24, abs=0)


def test_orthogonality_is_for_matrices() -> None:
    with pytest.raises(ValueError, match="must have rank 2"):
        regularizers.get("orthogonal_regularizer")(np.zeros((1, 2, 2, 3)))


@pytest.mark.parametrize("value", [-1, "a", math.inf, math.nan, None])
def test_a_factor_must_be_a_non_negative_number(value: Any) -> None:
    with pytest.raises(ValueError, match="expected a non-negative float"):
        regularizers.OrthogonalRegularizer(value)


CONSTRAINTS = [
    ("NonNeg", {}),
    ("MaxNorm", {"max_value": 1.5}),
    ("MaxNorm", {"axis": [0, 1]}),
    ("UnitNorm", {"axis": 1}),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 1.0, "rate": 0.5}),
    ("Constraint", {}),
]


@pytest.mark.parametrize(("name", "arguments"), CONSTRAINTS)
def test_a_projection_is_that_of_keras(keras: Any, name: str, arguments: dict[str, Any]) -> None:
    weight = X.astype(np.float32)
    ours = getattr(constraints, name)(**arguments)(weight)
    theirs = np.asarray(getattr(keras.constraints, name)(**arguments)(weight))
    assert ours.dtype == np.float32
    # A norm of 24 squares and four more operations in float32.
    assert np.max(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1e-30)) <= 30 * 2.0**-24
