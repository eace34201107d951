"""The adapter of any Keras layer: one backend in this process, one thread, no GPU."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from numpy.typing import NDArray

from conformance.adapters.jax_lax import ENVIRONMENT as OF_JAX
from conformance.adapters.keras_lives import OF_TENSORFLOW, WAYS, settings_of
from conformance.adapters.keras_modes import EAGER, MODES, Called
from conformance.capabilities import EVERYTHING, Capabilities
from conformance.case import Case
from conformance.data import Arrays
from conformance.errors import UsageError, describe, first_line
from conformance.implementations.adapter import Adapter
from conformance.implementations.base import LayerCall, Prepared, Shape
from conformance.implementations.info import Reproducer

ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1"}
# Where the backend is not known before a user's module is imported.
OF_ANY_BACKEND = {**ENVIRONMENT, **OF_JAX, "TF_CPP_MIN_LOG_LEVEL": "3"}


class Keras(Adapter):
    """A layer of Keras: its own, or the one that a user's class or factory makes.

    Initializers hand the weights to Keras' own layer: cheaper than assigning them later.

    Attributes:
        backend: as in ``KERAS_BACKEND``, which is also what it is installed as; empty for the one
            that is active.
        engine: what the backend is called in the report.
        environment: further variables, set before Keras is imported.
        pinned: those of them that a script needs to show the same.
        mode: one of `MODES`.
    """

    backend: str = ""
    engine: str = ""
    environment: Mapping[str, str] = {}
    pinned: Mapping[str, str] = {}
    mode: str = EAGER
    costly_calls = True
    modes = tuple(WAYS)

    def __init__(self, made_by: Callable[..., Any] | None = None, *, package: str = "") -> None:
        """`made_by` makes a user's layer; `package` is where it comes from, with its version."""
        self._made_by, self._package = made_by, package
        if made_by is not None:
            self.capabilities = None  # its author has claimed nothing

    @property
    def declared(self) -> Capabilities:
        """What its backend does, also for a layer that claims nothing."""
        return type(self).capabilities or EVERYTHING

    def setup(self) -> None:
        """Import Keras with one thread for this process.

        Raises:
            UsageError: Keras was already imported with another backend, or lacks the mode.
        """
        if self._made_by is None:
            os.environ.update({**ENVIRONMENT, **self.environment, "KERAS_BACKEND": self.backend})
        import keras

        active = keras.config.backend()
        if self.backend not in ("", active):
            raise UsageError(
                f"{self.name} needs the {self.engine} backend, but Keras was imported with "
                f"{active!r}; set KERAS_BACKEND={self.backend}"
            )
        self.backend, self.engine = active, self.engine or active
        mode = MODES[self.mode]
        if mode.backend not in ("", active):
            raise UsageError(
                f"{self.name!r}: only {mode.backend} has the mode {self.mode!r}, and Keras was "
                f"imported with {active!r}"
            )
        keras.config.disable_traceback_filtering()  # raw messages, not wrapped ones
        self.keras = keras
        about = f"Keras {keras.__version__}, {self.engine} {version(self.backend)}"
        self.version = ", ".join(filter(None, (about, self._package)))
        suffix = "" if self.mode == EAGER else f"-{self.mode}"
        self.contract = self.mode == EAGER  # it is the same in the other modes
        self.may_overwrite = self.backend != "jax"  # which shares the memory of some arrays
        self.known_as = (f"keras-{self.backend}{suffix}",)

    def layer(self, *first: Any, **arguments: Any) -> Any:
        """The layer with these arguments."""
        made_by = self._made_by or self.keras.layers.Conv2D
        return made_by(*first, **arguments)

    def build(self, case: Case, weights: Sequence[NDArray[Any]]) -> Any:
        if self._made_by is not None:
            layer = super().build(case, weights)
        else:
            arguments = case.layer_arguments()
            initializers = ("kernel_initializer", "bias_initializer")
            for name, values in zip(initializers, weights, strict=False):
                arguments[name] = lambda shape, dtype=None, values=values: values
            layer = self.layer(**arguments)
            layer.build(case.input_shape)
        if self.mode == EAGER:
            return layer
        made = MODES[self.mode].made(self.keras, layer, case)
        return Called(layer, made, self.unsupported_errors)

    def prepare(self, case: Case, data: Arrays) -> Prepared:
        super().prepare(case, data)
        return _KerasCall(self._layer, self.keras)

    def symbolic(self, layer: Any, shape: Shape, dtype: str | None = None) -> Any:
        """Of a call on a ``keras.KerasTensor``."""
        result = layer(self.keras.KerasTensor(shape, dtype=dtype or layer.compute_dtype))
        return [tuple(result.shape), result.dtype]

    def in_mode(self, layer: Any, mode: str, x: NDArray[Any]) -> Any:
        """The result of calling `layer`, or one made from it, in one of `modes`."""
        kind = type(layer)  # which a user need not have registered
        with self.keras.saving.custom_object_scope({kind.__name__: kind}):
            return {**WAYS, **OF_TENSORFLOW}[mode](self.keras, layer, x)

    def globally(self, settings: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Keras' own settings."""
        return settings_of(self.keras, settings) if settings else contextlib.nullcontext()

    def reproducer(self, target: str) -> Reproducer:
        """Keras itself, or the user's module, on the backend and called in the same way."""
        mode = MODES[self.mode]
        imports = ["import os", f'os.environ["KERAS_BACKEND"] = "{self.backend}"']
        imports += [f'os.environ["{name}"] = "{value}"' for name, value in self.pinned.items()]
        if mode.called.startswith("tf."):
            imports.append("import tensorflow as tf")
        imports.append("import keras")
        made_by = "keras.layers.Conv2D"
        if self._made_by is not None:
            own = super().reproducer(target)
            module, _, attribute = target.partition("@")[0].partition(":")
            if attribute:
                imports.append(f"from {module} import {attribute.partition('.')[0]}")
                own = replace(own, made_by=attribute)
            else:
                imports += own.imports
            made_by = own.made_by
        return Reproducer(
            imports=tuple(imports),
            made_by=made_by,
            called=mode.called,
            array="keras.ops.convert_to_numpy",
            may_overwrite=self.may_overwrite,
        )

    def to_numpy(self, result: Any) -> NDArray[Any]:
        """The result as an array, by Keras' own conversion for a tensor of the backend."""
        if self.keras.ops.is_tensor(result):
            converted: NDArray[Any] = self.keras.ops.convert_to_numpy(result)
            return converted
        return super().to_numpy(result)


class _KerasCall(LayerCall):
    """A layer of Keras, which infers what a layer does not say of its shapes."""

    def __init__(self, layer: Any, keras: Any) -> None:
        super().__init__(layer)
        self._symbolic = layer.layer if isinstance(layer, Called) else layer
        self._keras = keras

    def compute_output_shape(self, input_shape: Shape) -> Any:
        layer, keras = self._symbolic, self._keras
        method = layer.compute_output_shape
        if getattr(method, "__func__", None) is not keras.Layer.compute_output_shape:
            return method(input_shape)
        try:
            return layer(keras.KerasTensor(input_shape, dtype=layer.compute_dtype)).shape
        except Exception as error:
            *_, reason = str(error).rpartition("Error encountered:")
            why = first_line(Exception(reason)) if reason else describe(error)
            raise NotImplementedError(
                f"it has no compute_output_shape, and Keras cannot infer it ({why})"
            ) from error
