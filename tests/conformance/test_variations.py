"""Each row of the variations is taken or refused by the reference as by keras.layers.Conv2D."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.checks.life import ON_PURPOSE
from conformance.observing.life import pattern
from conformance.variations import VARIATIONS, Stage, Variation
from reference_impl import Conv2D

ATTRIBUTES = (
    *("filters", "groups", "kernel_size", "strides", "dilation_rate", "padding", "data_format"),
    *("use_bias", "trainable", "autocast", "dtype", "compute_dtype", "variable_dtype", "built"),
    *("lora_rank", "lora_alpha", "lora_enabled", "rank"),
)
SHAPE = (2, 5, 5, 4)


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


def rows_of(stage: Stage) -> list[Any]:
    """The rows at a stage that the reference has too."""
    rows = (row for row in VARIATIONS.values() if row.stage is stage and not row.of_keras)
    return [pytest.param(row, id=row.name) for row in rows]


def arguments_of(row: Variation) -> dict[str, Any]:
    """Those of a layer, made anew: an iterator is used up by the first one."""
    varied = row.value() if row.argument == "arguments" else {row.argument: row.value()}
    return {"filters": 4, "kernel_size": 3, "name": "layer", **varied}


def outcome(action: Callable[[], Any]) -> tuple[str, Any]:
    """What ``action`` leads to: its value, or the built-in type of what it raises."""
    try:
        return "returns", action()
    except Exception as error:  # noqa: BLE001  (its type is what is compared)
        return "raises", next(t for t in type(error).__mro__ if t.__module__ == "builtins")


# What Keras refuses by accident, with an error of the engine or of a list, and the reference on
# purpose.
BY_ACCIDENT = (
    *("dtype.int32", "dtype.string", "build.nested", "input.no_rows", "input.one_row"),
    *("input.in_dict", "input.in_list", "input.in_tuple"),
)


def assert_alike(row: str, found: tuple[str, Any], expected: tuple[str, Any]) -> None:
    """Equal, also in the type of what is raised, unless Keras raises it by accident."""
    if row in BY_ACCIDENT and "raises" == found[0] == expected[0]:
        assert found[1].__name__ in {*ON_PURPOSE, expected[1].__name__}
    else:
        assert found == expected


def constructed(make: Any, row: Variation) -> Any:
    """What a layer shows once it is made, and its configuration where backends do not differ."""
    layer = make(**arguments_of(row))
    attributes = {name: repr(getattr(layer, name)) for name in ATTRIBUTES}
    if Stage.CONFIG in row.differs:
        return attributes, None
    return attributes, json.dumps(layer.get_config(), sort_keys=True, default=str)


def weight_shapes(layer: Any, shape: Any) -> Any:
    layer.build(shape)
    return [(tuple(w.shape), np.dtype(w.dtype).name) for w in layer.weights]


@pytest.mark.parametrize("row", rows_of(Stage.CONSTRUCT))
@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`")
def test_a_value_is_normalised_or_refused_as_in_keras(keras: Any, row: Variation) -> None:
    expected = outcome(lambda: constructed(keras.layers.Conv2D, row))
    assert outcome(lambda: constructed(Conv2D, row)) == expected


@pytest.mark.parametrize("row", rows_of(Stage.CONSTRUCT))
@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`")
def test_what_was_accepted_is_built_or_refused_as_in_keras(keras: Any, row: Variation) -> None:
    if Stage.BUILD in row.differs:
        pytest.skip(row.why)
    found, expected = (
        outcome(lambda make=make: weight_shapes(make(**arguments_of(row)), SHAPE))
        for make in (Conv2D, keras.layers.Conv2D)
    )
    assert_alike(row.name, found, expected)


LAYERS: list[dict[str, Any]] = [
    {},
    {"groups": 2},
    {"padding": "same", "strides": 2},
    {"padding": "same", "use_bias": False, "dilation_rate": (2, 3)},
    {"data_format": "channels_first"},
    {"padding": (1, 1)},
    {"filters": None},
    {"filters": 4.0},
    {"groups": 2.0},
    {"kernel_size": (3.0, 3.0)},
    {"kernel_size": (1, 3), "strides": (1, 2)},
    {"kernel_initializer": "identity"},
    {"bias_initializer": "orthogonal"},
    {"bias_initializer": None, "kernel_initializer": None},
    {"lora_rank": 2, "kernel_constraint": "non_neg"},
]


def given(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"filters": 4, "kernel_size": 3, **kwargs}


SHAPES: dict[str, Callable[[], Any]] = {
    "plain": lambda: SHAPE,
    "as large as the kernel": lambda: (2, 3, 3, 4),
    "twice the channels": lambda: (2, 5, 5, 8),
    **{
        name: lambda row=row: row.value(shape=SHAPE)
        for name, row in VARIATIONS.items()
        if row.stage is Stage.BUILD
    },
}
NO_SIZES = ("build.text", "build.dict")  # where Keras counts letters, or looks for a key


@pytest.mark.parametrize("kwargs", LAYERS, ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_layer_builds_or_refuses_as_in_keras(keras: Any, kwargs: Any, shape: str) -> None:
    def built(make: Any) -> Any:
        return weight_shapes(make(**given(kwargs)), SHAPES[shape]())

    assert_alike(shape, outcome(lambda: built(Conv2D)), outcome(lambda: built(keras.layers.Conv2D)))


@pytest.mark.parametrize("kwargs", LAYERS[:7], ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_output_shape_is_that_of_keras(keras: Any, kwargs: Any, shape: str) -> None:
    def told(make: Any) -> Any:
        return tuple(make(**given(kwargs)).compute_output_shape(SHAPES[shape]()))

    found, expected = outcome(lambda: told(Conv2D)), outcome(lambda: told(keras.layers.Conv2D))
    if shape in NO_SIZES:
        assert found[0] == expected[0] == "raises"
    else:
        assert_alike(shape, found, expected)


# An empty batch is a known fault of TensorFlow with oneDNN.
@pytest.mark.parametrize("row", [r for r in rows_of(Stage.CALL) if r.id != "input.no_samples"])
def test_an_input_is_taken_or_refused_as_in_keras(keras: Any, row: Variation) -> None:
    def called(make: Any) -> Any:
        layer = make(4, 3)
        layer.build(SHAPE)
        return tuple(layer(row.value(x=pattern(SHAPE, 0).astype("float32"))).shape)

    assert_alike(
        row.name, outcome(lambda: called(Conv2D)), outcome(lambda: called(keras.layers.Conv2D))
    )


@pytest.mark.parametrize("row", rows_of(Stage.ASSIGN))
def test_weights_are_set_or_refused_as_in_keras(keras: Any, row: Variation) -> None:
    def held(make: Any) -> Any:
        layer = make(4, 3)
        layer.build(SHAPE)
        weights = [pattern(w.shape, n).astype("float32") for n, w in enumerate(layer.get_weights())]
        layer.set_weights(row.value(weights=weights))
        return [np.asarray(w).tolist() for w in layer.get_weights()]

    assert_alike(
        row.name, outcome(lambda: held(Conv2D)), outcome(lambda: held(keras.layers.Conv2D))
    )
