"""Real ``keras.layers.Conv2D`` on the TensorFlow backend, called eagerly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from numpy.typing import NDArray

from conformance.case import Case
from conformance.errors import UsageError
from conformance.implementations.base import LayerImplementation

NAME = "keras-tensorflow"
# oneDNN is on by default on some processors only; pinned, a report means the same on all of them.
ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "OMP_NUM_THREADS": "1",
}


class KerasTensorFlow(LayerImplementation):
    """Keras' own layer. Initializers hand the weights over: cheaper than assigning them later."""

    costly_calls = True

    def __init__(self) -> None:
        super().__init__(NAME, _not_imported)

    def setup(self) -> None:
        """Import Keras with one thread for this process.

        Raises:
            UsageError: Keras is not installed, or was already imported with another backend.
        """
        os.environ.update(ENVIRONMENT)
        try:
            import keras
            import tensorflow as tf
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{NAME} needs {error.name}, which is not installed; "
                "pip install 'conv2d-conformance[tensorflow]' brings it"
            ) from None
        if keras.config.backend() != "tensorflow":
            raise UsageError(
                f"{NAME} needs the TensorFlow backend, but Keras was imported with "
                f"{keras.config.backend()!r}; set KERAS_BACKEND=tensorflow"
            )
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        keras.config.disable_traceback_filtering()  # raw messages, not wrapped ones
        self._factory = keras.layers.Conv2D
        self.version = f"Keras {keras.__version__}, TensorFlow {version('tensorflow')}"
        self.unsupported_errors = (tf.errors.UnimplementedError,)

    def build(self, case: Case, weights: Sequence[NDArray[Any]]) -> Any:
        arguments = case.layer_arguments()
        for name, values in zip(("kernel_initializer", "bias_initializer"), weights, strict=False):
            arguments[name] = lambda shape, dtype=None, values=values: values
        layer = self._factory(**arguments)
        layer.build(case.input_shape)
        return layer


def _not_imported(**_: Any) -> Any:
    raise RuntimeError("setup() imports Keras and must be called first")
