"""How a Keras layer is called: directly, traced, compiled, or as the one layer of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.case import Case
from conformance.errors import Unsupported, first_line

EAGER = "eager"
Made = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One way of calling a layer.

    Attributes:
        called: the expression that is called with x, where ``layer`` is the layer.
        made: the same for the module `keras`, a layer and the case that it was built for.
        backend: the one that has it, or empty.
        compiled: whether XLA computes it.
    """

    called: str
    made: Callable[[Any, Any, Case], Made]
    backend: str = ""
    compiled: bool = False


def _functional(keras: Any, layer: Any, case: Case) -> Made:
    """A model for any height and width, as one is written for images."""
    last = case.geometry.data_format == "channels_last"
    channels = case.geometry.channels
    shape = (None, None, channels) if last else (channels, None, None)
    inputs = keras.Input(shape, dtype=case.compute_dtype)
    model: Made = keras.Model(inputs, layer(inputs))
    return model


def _predict(keras: Any, layer: Any, case: Case) -> Made:
    model = keras.Sequential([layer])
    # One batch, as the other modes have it.
    return lambda x: model.predict(x, batch_size=max(len(x), 1), verbose=0)


def traced(
    layer: Any, *, jit_compile: bool, shape: tuple[int | None, ...] = (), dtype: str = ""
) -> Made:
    """`layer` as TensorFlow traces it, or has XLA compile it, for inputs of that shape if given."""
    import tensorflow as tf

    signature = [tf.TensorSpec(shape, dtype)] if shape else None
    function: Made = tf.function(
        layer, input_signature=signature, autograph=False, jit_compile=jit_compile
    )
    return function


MODES = {
    EAGER: Mode(called="layer", made=lambda keras, layer, case: layer),
    "graph": Mode(
        called="tf.function(layer)",
        made=lambda keras, layer, case: traced(layer, jit_compile=False),
        backend="tensorflow",
    ),
    "xla": Mode(
        called="tf.function(layer, jit_compile=True)",
        made=lambda keras, layer, case: traced(layer, jit_compile=True),
        backend="tensorflow",
        compiled=True,
    ),
    "predict": Mode(called="keras.Sequential([layer]).predict", made=_predict),
    "sequential": Mode(
        called="keras.Sequential([layer])",
        made=lambda keras, layer, case: keras.Sequential([layer]),
    ),
    "functional": Mode(
        called="keras.Model(i := keras.Input(x.shape[1:], dtype=x.dtype.name), layer(i))",
        made=_functional,
    ),
}


class Called:
    """A layer that is called in a mode; all else is the layer's own."""

    def __init__(self, layer: Any, made: Made, refusals: tuple[type[BaseException], ...]) -> None:
        self.layer, self._made, self._refusals = layer, made, refusals

    def __call__(self, x: Any) -> Any:
        try:
            return self._made(x)
        except self._refusals as error:
            # TensorFlow's own words follow the place in the graph, before the name of the node.
            words = [line for line in str(error).splitlines() if "{{node" not in line]
            raise Unsupported(first_line(Exception(words[-1]))) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)
