"""Constructor arguments are normalised, or refused, exactly as keras.layers.Conv2D does it."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import numpy as np
import pytest

from reference_impl import arguments
from reference_impl.layer import Conv2D


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


def constant(shape: Any, dtype: Any = None) -> Any:
    return np.zeros(shape, dtype)


class Plain:
    """A callable with a config, as a user may write an initializer."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return np.zeros(shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"depth": 2}


OBJECTS: list[Any] = [constant, Plain()]
SIDES = ("kernel", "bias")
# What is no row of the variations, all of which are compared with Keras in tests/conformance.
TABLE: dict[str, list[Any]] = {
    # Own objects and functions: Keras reads them back only if they are registered with it.
    "activation": [constant],
    **{f"{side}_{what}": OBJECTS for side in SIDES for what in ("regularizer", "constraint")},
    "activity_regularizer": OBJECTS,
    "bias_initializer": OBJECTS,
    # Also arguments of initializers with which a build may fail on one backend and not on another.
    "kernel_initializer": [
        *OBJECTS,
        {"class_name": "Orthogonal", "config": {"gain": 2.0, "seed": True}},
        {
            "module": "keras.initializers",
            "class_name": "HeUniform",
            "config": {"seed": 3, "input_axes": [0], "output_axes": [1]},
            "registered_name": None,
        },
    ],
    # Other names of dtypes that no convolution has: how backends refuse those, the rows show.
    "dtype": [int, bool, str, "int", "uint8", "uint4", 1.5, object(), np.dtype("float128")],
}
CASES = [
    *({name: value} for name, values in TABLE.items() for value in values),
    *({"filters": 6, "groups": groups} for groups in (1, 2, 3, 4, 6, 12)),
]
ATTRIBUTES = (
    *("filters", "groups", "kernel_size", "strides", "dilation_rate", "padding", "data_format"),
    *("use_bias", "trainable", "autocast", "dtype", "compute_dtype", "variable_dtype", "built"),
    *("lora_rank", "lora_alpha", "lora_enabled", "rank"),
)


def described(make: Any, kwargs: dict[str, Any]) -> tuple[str, Any]:
    """What constructing a layer leads to, in a form that two libraries can be compared in."""
    given = {"filters": 4, "kernel_size": 3, "name": "layer", **kwargs}
    try:
        layer = make(**given)
    except Exception as error:  # noqa: BLE001  (its type is what is compared)
        return "raises", type(error)
    attributes = {name: repr(getattr(layer, name)) for name in ATTRIBUTES}
    return "constructs", (attributes, json.dumps(layer.get_config(), sort_keys=True, default=str))


def identifier(kwargs: dict[str, Any]) -> str:
    """The arguments as text; without addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(kwargs))


@pytest.mark.parametrize("kwargs", CASES, ids=identifier)
def test_a_value_is_normalised_or_refused_as_in_keras(keras: Any, kwargs: dict[str, Any]) -> None:
    expected = described(keras.layers.Conv2D, kwargs)
    assert described(Conv2D, kwargs) == expected


REFUSALS: list[dict[str, Any]] = [
    *({"filters": v} for v in (0, -1, False, 4.5, float("nan"), "4", (4,))),
    *({"groups": v} for v in (0, -1, 3, 8, 1.5, None, "2")),
    *({"padding": v} for v in (None, 0, True, 1.0, {"same"})),
    *({"data_format": v} for v in ("NHWC", "", 0, True)),
    *({"name": v} for v in ("a/b", 3)),
    *({"trainable": v} for v in (None, 1, np.True_)),
    *(
        {name: v}
        for name in ("kernel_size", "strides")
        for v in (None, 0, (3,), (3, -1), "ab", "33")
    ),
    *({"dilation_rate": v} for v in ((None, 3), (1j, 3), (float("inf"), 3), 2.5)),
    *({"dtype": v} for v in ("half", "int8", 3)),
    *({"activation": v} for v in ("nope", 3)),
    *({"kernel_initializer": v} for v in ("nope", 3, "constant")),
    *({"kernel_regularizer": v} for v in ("l1_l2", 0.01)),
    *({"bias_constraint": v} for v in ("nonneg", 3)),
    {"strides": (1, 2), "dilation_rate": 2},
    {"foo": 1},
]


@pytest.mark.parametrize("kwargs", REFUSALS, ids=identifier)
def test_a_refusal_is_worded_as_in_keras(keras: Any, kwargs: dict[str, Any]) -> None:
    def message(make: Any) -> str:
        with pytest.raises(Exception, match=r".") as caught:
            make(**{"filters": 4, "kernel_size": 3, **kwargs})
        return str(caught.value).splitlines()[0]

    assert message(Conv2D) == message(keras.layers.Conv2D)


@pytest.mark.parametrize("value", ["causal", "full", b"same"])
def test_an_unknown_padding_is_named_with_what_is_allowed(value: Any) -> None:
    with pytest.raises(ValueError, match=r"one of \{'valid', 'same'\}"):
        arguments.padding(value)


@pytest.mark.parametrize("values", [(2.5, 2.5), (1, 1.5)])
def test_fractional_strides_are_refused_when_they_are_used(values: Any) -> None:
    with pytest.raises(ValueError, match="must be whole numbers"):
        Conv2D(4, 3, strides=values).build((None, 8, 8, 4))
