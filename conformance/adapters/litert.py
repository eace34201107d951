"""``keras.layers.Conv2D``, converted to LiteRT and run by its interpreter."""

from __future__ import annotations

import contextlib
import io
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras_tensorflow import KerasTensorFlow
from conformance.capabilities import Capabilities
from conformance.implementations.adapter import Adapter


class LiteRT(Adapter):
    """A model of one Keras layer with an open batch size, converted anew for each call."""

    name = "litert"
    summary = "A Keras layer converted to LiteRT."
    requires = ("keras", "tensorflow", "ai_edge_litert")
    distributions = ("keras", "tensorflow", "ai-edge-litert")
    extra = "litert"
    capabilities = Capabilities(dtypes="float32", flushes_subnormals=True)
    costly_calls = True

    def setup(self) -> None:
        """Import Keras on TensorFlow, which converts, and the interpreter of LiteRT."""
        source = KerasTensorFlow()
        source.setup()
        import keras
        import tensorflow as tf
        from ai_edge_litert.interpreter import Interpreter

        self._keras: Any = keras
        self._convert: Any = tf.lite.TFLiteConverter.from_keras_model
        self._interpreter: Any = Interpreter
        self.version = f"LiteRT {version('ai-edge-litert')}, {source.version}"

    def conv2d(
        self, x: NDArray[Any], kernel: NDArray[Any], bias: NDArray[Any] | None = None, **how: Any
    ) -> NDArray[Any]:
        """The convolution, in the dtype and layout of `x`."""
        layer = self._keras.layers.Conv2D(
            kernel.shape[3], kernel.shape[:2], use_bias=bias is not None, **how
        )
        model = self._keras.Sequential([self._keras.Input(x.shape[1:]), layer])
        layer.set_weights([w for w in (kernel, bias) if w is not None])
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it saves on the way
            content = self._convert(model).convert()
        interpreter = self._interpreter(model_content=content, num_threads=1)
        given = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(given, x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given, np.ascontiguousarray(x))
        interpreter.invoke()
        result: NDArray[Any] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        return result
