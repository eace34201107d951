"""Layers as users of Keras write them; imported only where Keras may be."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np

import reference_impl

# What the environment was when this module could first compute something.
AT_IMPORT = dict(os.environ)


class Plain(keras.layers.Conv2D):
    """Keras' own layer under another name."""


instance = Plain(4, 3)


def make(**arguments: Any) -> keras.Layer:
    return Plain(**arguments)


def make_any(filters: int, **arguments: Any) -> keras.Layer:
    return Plain(filters, **arguments)


class Swapped(keras.layers.Conv2D):
    """Swaps the two strides."""

    def __init__(self, *given: Any, strides: Any = 1, **arguments: Any) -> None:
        strides = strides if isinstance(strides, int) else tuple(strides)[::-1]
        super().__init__(*given, strides=strides, **arguments)


class ForgetsLora(keras.layers.Conv2D):
    """Saves the weights of `build` and not what LoRA has added to them."""

    def save_own_variables(self, store: Any) -> None:
        store["0"] = keras.ops.convert_to_numpy(self._kernel)
        if self.bias is not None:
            store["1"] = keras.ops.convert_to_numpy(self.bias)


class NamedAlike(keras.layers.Conv2D):
    """Has a name of its own choice, the same for every layer."""

    def __init__(self, *given: Any, name: str = "conv2d", **arguments: Any) -> None:
        super().__init__(*given, name=name, **arguments)


class PassesMasks(keras.layers.Conv2D):
    """Says that masks of its input fit its output."""

    def __init__(self, *given: Any, **arguments: Any) -> None:
        super().__init__(*given, **arguments)
        self.supports_masking = True


class SavedInHalf(keras.layers.Conv2D):
    """Saves its weights in the compute dtype."""

    def save_own_variables(self, store: Any) -> None:
        for number, weight in enumerate(self.weights):
            store[str(number)] = keras.ops.cast(weight, self.compute_dtype)


class SavedInHalfAlways(keras.layers.Conv2D):
    """Saves its weights in float16, whatever its policy is."""

    def save_own_variables(self, store: Any) -> None:
        for number, weight in enumerate(self.weights):
            store[str(number)] = keras.ops.cast(weight, "float16")


class SavedByTraining(keras.layers.Conv2D):
    """Saves and loads what is trained before what is not."""

    @property
    def held(self) -> list[Any]:
        return [*self.trainable_variables, *self.non_trainable_variables]

    def save_own_variables(self, store: Any) -> None:
        for number, weight in enumerate(self.held):
            store[str(number)] = weight

    def load_own_variables(self, store: Any) -> None:
        for number, weight in enumerate(self.held):
            weight.assign(np.resize(np.asarray(store[str(number)]), weight.shape))


class PenalizedInHalf(keras.layers.Conv2D):
    """Computes the penalty on its kernel in the compute dtype."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        penalty, dtype = self.kernel_regularizer, self.compute_dtype
        if penalty is not None:
            self._kernel.regularizer = lambda w: penalty(keras.ops.cast(w, dtype))


class LoraOfOneGroup(keras.layers.Conv2D):
    """Leaves LoRA out where there are groups."""

    @property
    def kernel(self) -> Any:
        return super().kernel if self.groups == 1 else self._kernel


class LoraInFull(keras.layers.Conv2D):
    """With LoRA it returns the dtype of its weights."""

    def call(self, inputs: Any) -> Any:
        result = super().call(inputs)
        return keras.ops.cast(result, self.variable_dtype) if self.lora_enabled else result


class KeepsItsBias(keras.layers.Conv2D):
    """Adds the bias that it had when its kernel was last assigned."""

    def call(self, inputs: Any) -> Any:
        held = [keras.ops.convert_to_numpy(w) for w in self.weights]
        kept = self.__dict__.setdefault("kept", [])
        if not kept or (kept[0] != held[0]).any():
            kept[:] = held
        return super().call(inputs) + keras.ops.cast(kept[1] - held[1], self.compute_dtype)


class LoadsAnyShape(keras.layers.Conv2D):
    """Loads a bias of any shape, as far as it goes."""

    def load_own_variables(self, store: Any) -> None:
        for number, weight in enumerate(self.weights):
            weight.assign(np.resize(np.asarray(store[str(number)]), weight.shape))


class TwiceTheGradient(keras.layers.Conv2D):
    """Returns what it should, with twice its gradient."""

    def call(self, inputs: Any) -> Any:
        result = super().call(inputs)
        return result + (result - keras.ops.stop_gradient(result))


class StopsWhenFrozen(keras.layers.Conv2D):
    """Takes freezing for an end of the gradient."""

    def call(self, inputs: Any) -> Any:
        result = super().call(inputs)
        return result if self.trainable else keras.ops.stop_gradient(result)


class OtherPositions(keras.layers.Conv2D):
    """Takes the padding before the strides."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        padding: str = "valid",
        strides: Any = 1,
        *more: Any,
        **arguments: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, padding, *more, **arguments)


class Operations(keras.Layer):
    """Written with ``keras.ops``; leaves its shapes to Keras."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.filters, self.groups, self.use_bias = filters, groups, use_bias
        self.kernel_size = pair(kernel_size)
        self.data_format = data_format or "channels_last"
        self.how = {
            "strides": pair(strides),
            "padding": padding.lower(),
            "data_format": self.data_format,
            "dilation_rate": pair(dilation_rate),
        }
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        channels = input_shape[1 if self.data_format == "channels_first" else 3]
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_weight(shape=shape, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), name="bias") if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        result = keras.ops.conv(inputs, self.kernel, **self.how)
        if self.bias is not None:
            last = self.data_format == "channels_last"
            result += self.bias if last else keras.ops.reshape(self.bias, (1, -1, 1, 1))
        return self.activation(result)


class InNumPy(Operations):
    """Written in NumPy, which computes nothing of a symbol."""

    def call(self, inputs: Any) -> Any:
        x = np.asarray(inputs)
        weights = [np.asarray(w).astype(x.dtype) for w in self.get_weights()]
        return self.activation(reference_impl.conv2d(x, *weights, groups=self.groups, **self.how))


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def conv2d(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    """A function beside the layers."""
    return reference_impl.conv2d(x, kernel, bias, **how)


class SpecifiesNoBatch(keras.layers.Conv2D):
    """Tells another shape of a symbolic call."""

    def compute_output_spec(self, inputs: Any) -> Any:
        spec = super().compute_output_spec(inputs)
        return keras.KerasTensor((1, *spec.shape[1:]), spec.dtype)


class SpecifiesNothing(keras.layers.Conv2D):
    """Cannot be called symbolically."""

    def compute_output_spec(self, inputs: Any) -> Any:
        raise NotImplementedError("no specification")


class SpecifiesHalves(keras.layers.Conv2D):
    """Tells another dtype of a symbolic call."""

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(super().compute_output_spec(inputs).shape, "float16")
