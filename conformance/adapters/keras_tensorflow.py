"""Real ``keras.layers.Conv2D`` on TensorFlow: called eagerly, as a graph, and compiled by XLA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from conformance.adapters.keras_layer import Keras
from conformance.adapters.keras_lives import MODES, OF_TENSORFLOW
from conformance.capabilities import Capabilities
from conformance.case import Case
from conformance.errors import Unsupported
from conformance.implementations.info import Reproducer

# oneDNN is on by default on some processors only; pinned, a report means the same on all of them.
ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}


class KerasTensorFlow(Keras):
    """Called eagerly. It declares nothing: TensorFlow has ``channels_first`` on the CPU in part."""

    name = "keras-tensorflow"
    summary = "Real keras.layers.Conv2D on the TensorFlow backend, called eagerly."
    requires = distributions = ("keras", "tensorflow")
    extra = "tensorflow"
    backend = "tensorflow"
    engine = "TensorFlow"
    environment = ENVIRONMENT
    modes = (*MODES, *OF_TENSORFLOW)

    def setup(self) -> None:
        """Import Keras and TensorFlow with one thread for this process."""
        super().setup()
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._tensorflow: Any = tf
        self.unsupported_errors = (tf.errors.UnimplementedError,)


class KerasTensorFlowGraph(KerasTensorFlow):
    """Called through ``tf.function``, which traces it for each shape and rewrites the graph."""

    name = "keras-tensorflow-graph"
    summary = "The same, called through tf.function."
    jit_compile = False

    def build(self, case: Case, weights: Sequence[NDArray[Any]]) -> Any:
        layer = super().build(case, weights)
        traced = self._tensorflow.function(layer, autograph=False, jit_compile=self.jit_compile)
        return _Traced(layer, traced, self._tensorflow.errors.UnimplementedError)

    def reproducer(self, target: str) -> Reproducer:
        """Keras itself, called through ``tf.function`` in the same way."""
        plain = super().reproducer(target)
        *backend, keras = plain.imports
        compiled = ", jit_compile=True" if self.jit_compile else ""
        return replace(
            plain,
            imports=(*backend, "import tensorflow as tf", keras),
            called=f"tf.function(layer{compiled})",
        )


class KerasTensorFlowXLA(KerasTensorFlowGraph):
    """Called through ``tf.function(jit_compile=True)``: XLA compiles it for each shape."""

    name = "keras-tensorflow-xla"
    summary = "The same, compiled by XLA."
    jit_compile = True
    capabilities = Capabilities(flushes_subnormals=True)


class _Traced:
    """A layer whose calls go through a traced function; all else is the layer's own."""

    def __init__(self, layer: Any, function: Any, refusal: type[Exception]) -> None:
        self._layer, self._function, self._refusal = layer, function, refusal

    def __call__(self, x: Any) -> Any:
        try:
            return self._function(x)
        except self._refusal as error:
            # TensorFlow's own words follow the place in the graph, before the name of the node.
            words = [line for line in str(error).splitlines() if "{{node" not in line]
            raise Unsupported(words[-1].strip()) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)
