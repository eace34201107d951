"""What a life asks of Keras: ways to reach an equal layer and call it, and settings of Keras."""

from __future__ import annotations

import contextlib
import copy
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
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


def _tuned(keras: Any, layer: Any, x: NDArray[Any], policy: str) -> Any:
    """A layer like it, whose kernel LoRA changes by a number that float16 does not have."""
    if not hasattr(layer, "enable_lora"):
        raise Unsupported("a layer without enable_lora")
    tuned = type(layer).from_config({**layer.get_config(), "dtype": policy})
    _like(layer, tuned, x)
    if not tuned.lora_enabled:
        tuned.enable_lora(1)
    for weight, value in ((tuned.lora_kernel_a, 1.0), (tuned.lora_kernel_b, 2.0**-12)):
        weight.assign(keras.ops.full(weight.shape, value, weight.dtype))
    return tuned


def _stored(layer: Any) -> dict[str, Any]:
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    return store


def _marked(keras: Any, layer: Any, x: NDArray[Any], is_right: bool) -> Any:
    """What the layer gives, and one more where something else is wrong."""
    return layer(x) + (0 if is_right else 1)


def _stored_lora(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether the kernel of a tuned layer under mixed_float16 is saved as it is, in float32."""
    tuned = _tuned(keras, layer, x, "mixed_float16")
    kernel, _, *_ = tuned.get_weights()
    rank = tuned.lora_kernel_b.shape[0]
    merged = kernel + tuned.lora_alpha / tuned.lora_rank * rank * 2.0**-12
    saved = keras.ops.convert_to_numpy(_stored(tuned)["0"])
    return _marked(keras, layer, x, bool((saved == merged).all()))


def _loaded_lora(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether LoRA can still be tuned once it is loaded: a gradient needs one matrix not zero."""
    tuned = _tuned(keras, layer, x, "float32")
    tuned.load_own_variables(_stored(tuned))
    held = [keras.ops.convert_to_numpy(w) for w in (tuned.lora_kernel_a, tuned.lora_kernel_b)]
    return _marked(keras, layer, x, any(w.any() for w in held))


def _stateless_losses(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether stateless_call tells as many losses as a call leaves."""
    config = {**layer.get_config(), "activity_regularizer": "l2", "kernel_regularizer": "l2"}
    other = _like(layer, type(layer).from_config(config), x)
    other(x)
    trained = [v.value for v in other.trainable_variables]
    others = [v.value for v in other.non_trainable_variables]
    *_, told = other.stateless_call(trained, others, x, return_losses=True)
    return _marked(keras, layer, x, len(told) == len(other.losses))


def _refuses(called: Any, given: Any) -> bool:
    try:
        called(given)
    except Exception:  # noqa: BLE001 - whatever it raises, it refuses
        return True
    return False


def _any_size(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether a trace for any size refuses an input into which the kernel does not fit."""
    last = layer.data_format == "channels_last"
    known = (None, None, None, x.shape[-1]) if last else (None, x.shape[1], None, None)
    h, w = ((k - 1) * d for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True))
    small = x[:, :h, :w] if last else x[:, :, :h, :w]
    function = traced(layer, jit_compile=False, shape=known, dtype=x.dtype.name)
    fits = not _refuses(layer.compute_output_shape, small.shape)
    return _marked(keras, layer, x, fits or _refuses(function, small))


def _any_channels(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether a trace for any number of channels refuses twice as many."""
    twice = np.concatenate([x, x], -1 if layer.data_format == "channels_last" else 1)
    function = traced(layer, jit_compile=False, shape=(None,) * 4, dtype=x.dtype.name)
    return _marked(keras, layer, x, _refuses(function, twice))


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
    "stored_lora": _stored_lora,
    "loaded_lora": _loaded_lora,
    "stateless_losses": _stateless_losses,
}
OF_TENSORFLOW: dict[str, Way] = {
    "graph": lambda keras, layer, x: traced(layer, jit_compile=False)(x),
    "xla": lambda keras, layer, x: traced(layer, jit_compile=True)(x),
    "any_size": _any_size,
    "any_channels": _any_channels,
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
