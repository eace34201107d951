"""What a life asks of Keras: ways to reach an equal layer and call it, and settings of Keras."""

from __future__ import annotations

import contextlib
import copy
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from conformance.adapters.keras_modes import traced
from conformance.errors import Unsupported

Way = Callable[[Any, Any, NDArray[Any]], Any]  # keras, a built layer, the input


def _functional(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    inputs = keras.Input(x.shape[1:], dtype=x.dtype.name)
    return keras.Model(inputs, layer(inputs))(x)


def _model(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    return keras.Sequential([keras.Input(x.shape[1:], dtype=x.dtype.name), layer])


def _predict(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    return _model(keras, layer, x).predict(x, verbose=0)


def _sequential(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    return _model(keras, layer, x)(x)


def _stateless(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    trained = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]
    return layer.stateless_call(trained, others, x)[0]


def _revived(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    return _with_weights_of(layer, type(layer).from_config(layer.get_config()), x)


def _serialized(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    config = keras.saving.serialize_keras_object(layer)
    revived = keras.saving.deserialize_keras_object(config)
    return _with_weights_of(layer, revived, x)


def _with_weights_of(layer: Any, other: Any, x: NDArray[Any]) -> Any:
    return _like(layer, other, x)(x)


def _like(layer: Any, other: Any, x: NDArray[Any]) -> Any:
    """`other`, built and with the weights of `layer`."""
    if not other.built:
        other.build(x.shape)
    other.set_weights(layer.get_weights())
    return other


def _copied(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    return copy.deepcopy(layer)(x)


def _copied_apart(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """What the layer gives when the weights of a copy have been set to zeros."""
    other = copy.deepcopy(layer)
    other.set_weights([0 * w for w in other.get_weights()])
    return layer(x)


def _pickled(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    return pickle.loads(pickle.dumps(layer))(x)


def _saved(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    model = _model(keras, layer, x)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        return keras.saving.load_model(Path(folder) / "model.keras")(x)


def _saved_lora(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """What the layer gives, and what saving changes of a tuned one like it."""
    if not hasattr(layer, "enable_lora"):
        raise Unsupported("a layer without enable_lora")
    tuned = _like(layer, type(layer).from_config(layer.get_config()), x)
    if not tuned.lora_enabled:
        tuned.enable_lora(1)
    for weight in (tuned.lora_kernel_a, tuned.lora_kernel_b):
        weight.assign(keras.ops.ones(weight.shape, weight.dtype))
    return layer(x) + (_saved(keras, tuned, x) - tuned(x))


def _reloaded(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    other = _model(keras, type(layer).from_config(layer.get_config()), x)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.weights.h5"
        _model(keras, layer, x).save_weights(file)
        other.load_weights(file)
    return other(x)


WAYS: dict[str, Way] = {
    "functional": _functional,
    "sequential": _sequential,
    "predict": _predict,
    "stateless": _stateless,
    "revived": _revived,
    "serialized": _serialized,
    "copied": _copied,
    "copied_apart": _copied_apart,
    "pickled": _pickled,
    "saved": _saved,
    "saved_lora": _saved_lora,
    "reloaded": _reloaded,
}
OF_TENSORFLOW: dict[str, Way] = {
    "graph": lambda keras, layer, x: traced(layer, jit_compile=False)(x),
    "xla": lambda keras, layer, x: traced(layer, jit_compile=True)(x),
}


@contextlib.contextmanager
def settings_of(keras: Any, settings: Mapping[str, Any]) -> Iterator[None]:
    """Keras with other defaults for ``data_format`` and ``dtype``, put back in the end."""
    data_format, policy = keras.config.image_data_format(), keras.config.dtype_policy()
    try:
        if "data_format" in settings:
            keras.config.set_image_data_format(settings["data_format"])
        if "dtype" in settings:
            keras.config.set_dtype_policy(settings["dtype"])
        yield
    finally:
        keras.config.set_image_data_format(data_format)
        keras.config.set_dtype_policy(policy)
