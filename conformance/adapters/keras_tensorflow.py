"""Real ``keras.layers.Conv2D`` on TensorFlow, in every mode, and without oneDNN."""

from __future__ import annotations

import contextlib
import os

from conformance.adapters.keras_layer import Keras
from conformance.adapters.keras_lives import OF_TENSORFLOW, WAYS
from conformance.adapters.keras_modes import MODES
from conformance.capabilities import Capabilities

LESS_TALK = {"TF_CPP_MIN_LOG_LEVEL": "3"}
WITHOUT_ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "0"}
EIGEN_ALONE = {**LESS_TALK, **WITHOUT_ONEDNN}


class KerasTensorFlow(Keras):
    """Called eagerly, with oneDNN where TensorFlow has it on by default.

    It declares nothing: TensorFlow has ``channels_first`` on the CPU in part.
    """

    name = "keras-tensorflow"
    summary = "Real keras.layers.Conv2D on the TensorFlow backend, called eagerly."
    requires = distributions = ("keras", "tensorflow")
    extra = "tensorflow"
    backend = "tensorflow"
    engine = "TensorFlow"
    environment = LESS_TALK
    modes = (*WAYS, *OF_TENSORFLOW)

    def setup(self) -> None:
        """Import Keras and TensorFlow with one thread for this process."""
        super().setup()
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # a user's module has already computed something
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        self.unsupported_errors = (tf.errors.UnimplementedError,)
        self.onednn = not MODES[self.mode].compiled and _onednn_is_on()


def _onednn_is_on() -> bool | None:
    """Whether TensorFlow uses oneDNN here; by default it does on some processors only."""
    asked = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower()
    try:
        from tensorflow.python.util import _pywrap_util_port

        return bool(_pywrap_util_port.IsMklEnabled())
    except (ImportError, AttributeError):  # no public function tells
        return {"1": True, "true": True, "0": False, "false": False}.get(asked)


class KerasTensorFlowEigen(KerasTensorFlow):
    """The kernels that TensorFlow has without oneDNN."""

    name = "keras-tensorflow-eigen"
    summary = "The same without oneDNN."
    environment = EIGEN_ALONE
    pinned = WITHOUT_ONEDNN


class KerasTensorFlowGraph(KerasTensorFlow):
    """Traced for each shape; TensorFlow rewrites the graph."""

    name = "keras-tensorflow-graph"
    summary = "The same layer, called through tf.function."
    mode = "graph"


class KerasTensorFlowXLA(KerasTensorFlow):
    """Compiled for each shape."""

    name = "keras-tensorflow-xla"
    summary = "The same layer, compiled by XLA."
    mode = "xla"
    capabilities = Capabilities(flushes_subnormals=True)


class KerasTensorFlowPredict(KerasTensorFlow):
    """Traced as well; inputs pass the data adapter of Keras."""

    name = "keras-tensorflow-predict"
    summary = "The same layer, called through predict of a model."
    mode = "predict"


class KerasTensorFlowSequential(KerasTensorFlow):
    """The model is made when it is first called."""

    name = "keras-tensorflow-sequential"
    summary = "The same layer, as the only one of a Sequential model."
    mode = "sequential"


class KerasTensorFlowFunctional(KerasTensorFlow):
    """The layer is first called with a symbol of any height and width."""

    name = "keras-tensorflow-functional"
    summary = "The same layer, as the only one of a functional model."
    mode = "functional"
