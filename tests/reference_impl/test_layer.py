"""The layer lives as keras.layers.Conv2D does: build, call, weights, losses, LoRA and config."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from reference_impl.convolution import conv2d
from reference_impl.layer import Conv2D

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


def integers(*shape: int) -> Any:
    """Small integers: every convolution of them here is exact in every float dtype."""
    return RNG.integers(-2, 3, shape).astype(np.float64)


def built(input_shape: Any = (None, 5, 5, 4), **kwargs: Any) -> Conv2D:
    layer = Conv2D(**{"filters": 4, "kernel_size": 3, **kwargs})
    layer.build(input_shape)
    return layer


def outcome(action: Any) -> tuple[str, Any]:
    """What ``action`` leads to: its value, or the built-in type of what it raises."""
    try:
        return "returns", action()
    except Exception as error:  # noqa: BLE001  (its type is what is compared)
        return "raises", next(t for t in type(error).__mro__ if t.__module__ == "builtins")


def test_the_plain_examples_stack() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = Conv2D(
            filters=16, kernel_size=2, strides=2, activation="relu", input_shape=(200, 200, 1)
        )
        second = Conv2D(filters=32, kernel_size=3, padding="same", activation="relu")
        third = Conv2D(64, (2, 2), activation="relu")
        y = first(RNG.random((2, 200, 200, 1)))
        assert y.shape == (2, 100, 100, 16)
        y = second(y)
        assert y.shape == (2, 100, 100, 32)
        y = third(y)
    assert y.shape == (2, 99, 99, 64)
    assert y.dtype == np.float32
    assert np.min(y) == 0.0 < np.max(y)
    assert first.input_shape_arg == (200, 200, 1)
    assert "input_shape" not in first.get_config()


# Building -------------------------------------------------------------------------------------


def test_the_output_shape_says_what_a_call_returns() -> None:
    for data_format in ("channels_last", "channels_first"):
        layer = Conv2D(6, (2, 3), strides=(2, 1), groups=2, data_format=data_format)
        x = np.zeros((3, 4, 7, 4) if data_format == "channels_first" else (3, 7, 5, 4))
        assert layer(x).shape == layer.compute_output_shape(x.shape)


def test_a_layer_is_built_once() -> None:
    with pytest.raises(ValueError, match="already built"):
        built().build((None, 5, 5, 4))


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64"])
def test_a_dtype_that_is_not_floating_is_refused_when_built(dtype: str) -> None:
    layer = Conv2D(4, 3, dtype=dtype)
    with pytest.raises(ValueError, match="Conv2D computes in one of float16"):
        layer(np.zeros((1, 5, 5, 4)))


def test_an_initializer_must_give_the_shape_of_the_weight() -> None:
    with pytest.raises(ValueError, match="must return an array of shape"):
        built(kernel_initializer=lambda shape, dtype: np.zeros((2, 2)))


def test_weights_before_and_after_building() -> None:
    layer = Conv2D(4, 3, name="c")
    assert layer.weights == layer.get_weights() == []
    with pytest.raises(AttributeError, match="must build the layer"):
        _ = layer.kernel
    with pytest.raises(AttributeError):
        _ = layer.bias
    with pytest.raises(ValueError, match="expecting 0 weights"):
        layer.set_weights([np.zeros(4)])
    with pytest.raises(ValueError, match="isn't built"):
        layer.count_params()
    layer.build((None, 5, 5, 4))
    assert [v.path for v in layer.weights] == ["c/kernel", "c/bias"]
    assert [v.name for v in layer.weights] == ["kernel", "bias"]
    assert layer.count_params() == 148
    assert repr(layer) == "<Conv2D name=c, built=True>"


def test_automatic_names_count() -> None:
    class SobelFilter(Conv2D):
        pass

    assert [SobelFilter(1, 1).name for _ in range(3)] == [
        "sobel_filter",
        "sobel_filter_1",
        "sobel_filter_2",
    ]


# Weights --------------------------------------------------------------------------------------


def test_get_weights_gives_copies_and_set_weights_takes_copies() -> None:
    layer = built()
    kernel, bias = integers(3, 3, 4, 4), integers(4)
    layer.set_weights([kernel, bias])
    kernel[:] = 9
    layer.get_weights()[1][:] = 9
    assert np.max(layer.get_weights()[0]) <= 2
    assert np.array_equal(layer.get_weights()[1], bias.astype(np.float32))
    assert [w.dtype for w in layer.get_weights()] == [np.float32, np.float32]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([np.zeros(4)], "list of length 1"),
        ([np.zeros((3, 3, 4, 5)), np.zeros(4)], "not compatible"),
        ([np.zeros((3, 3, 4, 4)), np.zeros((1, 4))], "not compatible"),
    ],
)
def test_set_weights_refuses_another_count_or_shape(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        built().set_weights(weights)


def test_a_variable_is_assigned_rounded_and_read_without_harm() -> None:
    bias = built(dtype="bfloat16", name="c").bias
    assert bias is not None
    bias.assign([1.0, 2.0, 1 + 2.0**-8 + 2.0**-40, 4])
    assert (bias.dtype, bias.shape, bias.ndim, bias.size) == ("bfloat16", (4,), 1, 4)
    assert bias.numpy().astype(float).tolist() == [1.0, 2.0, 1 + 2.0**-7, 4.0]
    assert not np.asarray(bias).flags.writeable
    assert np.array(bias).flags.writeable
    assert np.asarray(bias, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(bias, dtype=np.float64, copy=False)
    for value in (1.0, [1.0], np.zeros((4, 1))):
        with pytest.raises(ValueError, match="must match"):
            bias.assign(value)
    assert repr(bias).startswith("<Variable path=c/bias, shape=(4,), dtype=bfloat16, value=[1 2 ")


def test_trainable_sorts_the_weights() -> None:
    layer = built()
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == (2, 0)
    layer.trainable = False
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == (0, 2)
    assert [v.trainable for v in built(trainable=False).weights] == [False, False]


# Calling --------------------------------------------------------------------------------------

CALLS: list[dict[str, Any]] = [
    {"filters": 5, "kernel_size": 2},
    {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
    {"filters": 6, "kernel_size": 2, "padding": "same", "dilation_rate": (2, 2), "groups": 2},
    {"filters": 6, "kernel_size": 2, "padding": "same", "dilation_rate": (2, 3), "groups": 2},
    {"filters": 6, "kernel_size": (4, 3), "strides": (2, 1), "groups": 2},
    {
        "filters": 6,
        "kernel_size": (4, 3),
        "strides": (2, 1),
        "data_format": "channels_first",
        "groups": 2,
    },
    {"filters": 4, "kernel_size": 3, "use_bias": False, "activation": "relu"},
    {"filters": 4, "kernel_size": 3, "strides": (3.0, 2.0), "activation": "hard_tanh"},
    {"filters": True, "kernel_size": True, "groups": np.int64(1)},
]


@pytest.mark.parametrize("dtype", ["float32", "float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("kwargs", CALLS, ids=repr)
def test_a_call_gives_the_values_of_keras(keras: Any, kwargs: Any, dtype: str) -> None:
    x = integers(2, 8, 8, 4)
    ours, theirs = Conv2D(**kwargs, dtype=dtype), keras.layers.Conv2D(**kwargs, dtype=dtype)
    ours.build(x.shape)
    theirs.build(x.shape)
    weights = [integers(*w.shape) for w in ours.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    actual, expected = ours(x), np.asarray(theirs(x))
    assert actual.dtype == expected.dtype
    assert np.array_equal(actual, expected)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_bias_lies_on_the_channel_axis(data_format: str) -> None:
    layer = built((None, 3, 3, 3), filters=3, kernel_size=1, data_format=data_format)
    layer.set_weights([np.zeros((1, 1, 3, 3)), np.array([1.0, 2.0, 3.0])])
    axis = -1 if data_format == "channels_last" else 1
    assert np.moveaxis(layer(np.zeros((1, 3, 3, 3))), axis, -1)[0, 0, 0].tolist() == [1.0, 2.0, 3.0]


def test_convolution_and_bias_are_rounded_together_and_the_activation_once() -> None:
    layer = built((None, 1, 1, 1), filters=1, kernel_size=1, dtype="float16", activation="softplus")
    layer.set_weights([np.array([[[[1.0]]]]), np.array([2.0**-12])])
    x = np.full((1, 1, 1, 1), 1 + 2.0**-10)
    total = np.float16(1 + 2.0**-10 + 2.0**-12)
    assert layer(x).item() == np.float16(np.log1p(np.exp(np.float64(total))))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16, ">f4"])
@pytest.mark.parametrize("policy", ["float16", "bfloat16", "float32", "float64", "mixed_float16"])
def test_floating_inputs_are_cast_and_left_alone(policy: str, dtype: Any) -> None:
    layer = Conv2D(2, 2, dtype=policy)
    x = integers(2, 3, 3, 2).astype(dtype)
    before = x.tobytes()
    y = layer(x)
    assert y.dtype.name == layer.compute_dtype
    assert layer.weights[0].dtype == layer.dtype == layer.variable_dtype
    assert x.tobytes() == before
    assert not np.shares_memory(x, y)
    assert y.flags.writeable
    same = conv2d(x.astype(y.dtype), np.asarray(layer.kernel).astype(y.dtype))
    assert np.array_equal(y, same)


@pytest.mark.parametrize("x", [np.zeros((2, 5, 5, 4), t) for t in ("int32", "bool", "complex64")])
def test_other_inputs_are_refused(x: Any) -> None:
    with pytest.raises(ValueError, match=f"does not cast {x.dtype.name} inputs"):
        Conv2D(4, 3)(x)


def test_without_autocast_only_the_compute_dtype_is_taken() -> None:
    layer = Conv2D(4, 3, autocast=False)
    with pytest.raises(ValueError, match="does not cast float64"):
        layer(np.zeros((2, 5, 5, 4)))
    assert layer(np.zeros((2, 5, 5, 4), np.float32)).shape == (2, 3, 3, 4)


@pytest.mark.parametrize("x", [5, "a", [1.0], [[[[1.0]]]], np.zeros((5, 5, 4))], ids=repr)
def test_an_input_that_does_not_fit_is_named(x: Any) -> None:
    with pytest.raises(ValueError, match="Input"):
        built()(x)


def test_an_input_with_five_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="4 axes"):
        built()(np.zeros((2, 5, 5, 5, 4)))


def test_the_call_forms_are_those_of_keras() -> None:
    layer: Any = built()
    x = np.zeros((2, 5, 5, 4))
    assert np.array_equal(layer(inputs=x), layer(x, training=True))
    for call in (layer, lambda: layer(x=x), lambda: layer(x, mask=None), lambda: layer(x, x)):
        with pytest.raises(TypeError):
            call()


def test_an_activation_works_on_the_last_axis_whatever_the_layout() -> None:
    layer = Conv2D(2, 1, data_format="channels_first", activation="softmax")
    y = layer(integers(1, 3, 4, 5))
    assert np.allclose(y.sum(axis=-1), 1.0, rtol=0, atol=1e-6)


# Losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_losses_are_those_of_keras(keras: Any, batch: int) -> None:
    kwargs = {
        "filters": 4,
        "kernel_size": 3,
        "kernel_regularizer": "l2",
        "bias_regularizer": "l1",
        "activity_regularizer": "l1",
        "activation": "relu",
    }
    ours, theirs = Conv2D(**kwargs), keras.layers.Conv2D(**kwargs)
    x = integers(batch, 5, 5, 4)
    assert ours.losses == []
    for layer in (ours, theirs):
        layer.build(x.shape)
        layer.set_weights([np.ones((3, 3, 4, 4)), np.arange(4.0)])
        layer(x)
        layer(x)
    # Keras sums up to 144 terms in float32.
    assert ours.losses == pytest.approx([float(v) for v in theirs.losses], rel=150 * 2.0**-24)
    ours.trainable = False
    assert len(ours.losses) == 1


# LoRA -----------------------------------------------------------------------------------------


def test_lora_adds_two_trainable_matrices_and_changes_nothing_yet() -> None:
    layer, x = built(groups=2), integers(2, 5, 5, 4)
    before = layer(x)
    layer.enable_lora(2, lora_alpha=4)
    assert [v.name for v in layer.weights] == ["kernel", "bias", "lora_kernel_a", "lora_kernel_b"]
    assert [v.shape for v in layer.weights[2:]] == [(3, 3, 2, 2), (2, 4)]
    assert (len(layer.trainable_weights), len(layer.non_trainable_weights)) == (3, 1)
    assert np.array_equal(layer(x), before)
    assert {k: layer.get_config()[k] for k in ("lora_rank", "lora_alpha")} == {
        "lora_rank": 2,
        "lora_alpha": 4,
    }


def test_the_lora_kernel_is_that_of_keras(keras: Any) -> None:
    ours, theirs = (make(4, 3, lora_rank=2, lora_alpha=4) for make in (Conv2D, keras.layers.Conv2D))
    x = integers(1, 5, 5, 4)
    ours.build(x.shape)
    theirs.build(x.shape)
    weights = [integers(*w.shape) for w in ours.weights]
    for layer in (ours, theirs):
        layer.set_weights(weights)
    assert np.array_equal(ours.kernel, np.asarray(theirs.kernel))
    assert np.array_equal(ours(x), np.asarray(theirs(x)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2D(4, 3), "isn't yet built"),
        (lambda: built(kernel_constraint="non_neg"), "incompatible with kernel constraints"),
        (lambda: built(lora_rank=1), "already enabled"),
    ],
)
def test_lora_is_refused_as_in_keras(make: Any, message: str) -> None:
    layer = make()
    with pytest.raises(ValueError, match=message):
        layer.enable_lora(2)


@pytest.mark.parametrize("rank", [-1, "a", 2.0])
def test_a_lora_rank_is_a_whole_number(rank: Any) -> None:
    with pytest.raises(ValueError, match="to a shape"):
        built(lora_rank=rank)


# Config ---------------------------------------------------------------------------------------

CONFIGS: list[dict[str, Any]] = [
    *CALLS,
    {"filters": 1, "kernel_size": 1, "dtype": "mixed_float16", "activity_regularizer": "l1"},
    {"filters": 1, "kernel_size": 1, "lora_rank": 3, "trainable": False, "name": "n"},
    {
        "filters": 1,
        "kernel_size": 1,
        "kernel_initializer": "orthogonal",
        "bias_constraint": "MaxNorm",
    },
]


@pytest.mark.parametrize("kwargs", CONFIGS, ids=repr)
def test_a_config_leads_back_here_and_in_keras(keras: Any, kwargs: dict[str, Any]) -> None:
    layer = Conv2D(**kwargs)
    config = layer.get_config()
    assert Conv2D.from_config(config).get_config() == config
    plain = json.loads(json.dumps(config, default=lambda value: value.item()))
    theirs = keras.layers.Conv2D.from_config(plain).get_config()
    assert json.loads(json.dumps(theirs)) == plain
    assert json.loads(json.dumps(Conv2D.from_config(theirs).get_config())) == plain


@pytest.mark.parametrize("config", [{"filters": 1}, {"filters": 0, "kernel_size": 1}])
def test_a_config_that_is_refused_raises_as_in_keras(keras: Any, config: Any) -> None:
    expected = outcome(lambda: keras.layers.Conv2D.from_config(config))
    assert outcome(lambda: Conv2D.from_config(config)) == expected == ("raises", TypeError)
