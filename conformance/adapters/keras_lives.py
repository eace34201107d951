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
from reference_impl import kernel_gradient

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


def _enable_lora(layer: Any) -> None:
    """By a factor that is not 1, where there is one."""
    if not layer.lora_enabled:
        layer.enable_lora(1)
    if hasattr(layer, "lora_alpha"):
        layer.lora_alpha = 2 * layer.lora_rank


def _saved_lora(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """What the layer gives, and what saving changes of a tuned one like it."""
    if not hasattr(layer, "enable_lora"):
        raise Unsupported("a layer without enable_lora")
    tuned = _like(layer, type(layer).from_config(layer.get_config()), x)
    _enable_lora(tuned)
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
    _enable_lora(tuned)
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


def _graph(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    return traced(layer, jit_compile=False)(x)


def _xla(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    return traced(layer, jit_compile=True)(x)


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


def _named_apart(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether two layers that are given no name have two, as a model demands."""
    unnamed = {n: value for n, value in layer.get_config().items() if n != "name"}
    one, other = (type(layer).from_config(dict(unnamed)) for _ in range(2))
    return _marked(keras, layer, x, one.name != other.name)


def _masked(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether it says that it takes no mask: a loss is weighted by one that is passed on."""
    return _marked(keras, layer, x, not getattr(layer, "supports_masking", False))


def _kept_in_full(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether saving keeps every bit of weights in float32, also under a policy of 16 bits."""
    policies = ("float32", "mixed_float16")
    full = [_with_thirds(layer, x, {"dtype": policy}) for policy in policies]
    return _marked(keras, layer, x, all(_is_kept(keras, one, x) for one in full))


def _is_kept(keras: Any, layer: Any, x: NDArray[Any]) -> bool:
    """Whether the weights that are saved are those that another layer loads."""
    other = _like(layer, type(layer).from_config(layer.get_config()), x)
    other.set_weights([0 * w for w in other.get_weights()])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.weights.h5"
        _model(keras, layer, x).save_weights(file)
        _model(keras, other, x).load_weights(file)
    held, loaded = (
        [keras.ops.convert_to_numpy(w) for w in _variables(one)] for one in (layer, other)
    )
    return all(map(np.array_equal, held, loaded))


def _variables(layer: Any) -> list[Any]:
    return [layer.kernel, *([layer.bias] if layer.use_bias else [])]


def _with_thirds(layer: Any, x: NDArray[Any], changed: dict[str, Any]) -> Any:
    """A layer with `changed` arguments, otherwise like it, and weights that no 16 bits can hold."""
    config = {**layer.get_config(), **changed}
    other = _like(layer, type(layer).from_config(config), x)
    other.set_weights([w + np.float32(1 / 3) for w in other.get_weights()])
    return other


def _kernel_frozen(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether weights of which one is frozen are loaded by a layer in which none is."""
    other = _like(layer, type(layer).from_config(layer.get_config()), x)
    other.kernel.trainable = False
    return _marked(keras, layer, x, _is_kept(keras, other, x))


def _penalty_in_full(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether the penalty on weights in float32 is in float32 under a policy of 16 bits.

    The weights are integers that no 16 bits can hold, and half their sum is exact in float32.
    """
    penalty = {"class_name": "L1", "config": {"l1": 0.5}}
    changed = {"dtype": "mixed_float16", "kernel_regularizer": penalty}
    apart = {"bias_regularizer": None, "activity_regularizer": None}
    config = {**layer.get_config(), **changed, **apart}
    other = _like(layer, type(layer).from_config(config), x)
    other.set_weights([np.full_like(w, 2049) for w in other.get_weights()])
    (loss,) = other.losses
    wanted = 2049 * other.get_weights()[0].size / 2
    return _marked(keras, layer, x, float(keras.ops.convert_to_numpy(loss)) == wanted)


def _is_tuned(keras: Any, layer: Any, x: NDArray[Any], changed: dict[str, Any]) -> bool:
    """Whether LoRA on a layer like it gives what the changed kernel gives without."""
    config = {**layer.get_config(), **changed}
    tuned, plain = (type(layer).from_config(config) for _ in range(2))
    tuned.build(x.shape)
    weights = [np.ones_like(w) for w in tuned.get_weights()]
    tuned.set_weights(weights)
    _enable_lora(tuned)
    rank = tuned.lora_kernel_b.shape[0]
    for weight in (tuned.lora_kernel_a, tuned.lora_kernel_b):
        weight.assign(keras.ops.ones(weight.shape, weight.dtype))
    plain.build(x.shape)
    factor = 1 + tuned.lora_alpha / tuned.lora_rank * rank
    plain.set_weights([weights[0] * np.float32(factor), *weights[1:]])
    got, wanted = (keras.ops.convert_to_numpy(one(x)) for one in (tuned, plain))
    return got.dtype == wanted.dtype and np.array_equal(got, wanted)


def _lora_of_groups(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether LoRA changes the kernel of as many groups as there can be."""
    channels = x.shape[-1 if layer.data_format == "channels_last" else 1]
    return _with_lora(keras, layer, x, {"groups": int(np.gcd(channels, layer.filters))})


def _lora_of_16_bits(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether LoRA gives results in the compute dtype under a policy of 16 bits."""
    return _with_lora(keras, layer, x, {"dtype": "mixed_bfloat16"})


def _with_lora(keras: Any, layer: Any, x: NDArray[Any], changed: dict[str, Any]) -> Any:
    if not hasattr(layer, "enable_lora"):
        raise Unsupported("a layer without enable_lora")
    return _marked(keras, layer, x, _is_tuned(keras, layer, x, changed))


def _trained_on(keras: Any, layers: list[Any], x: NDArray[Any]) -> None:
    """One step of gradient descent on the sum of what a model of these layers returns."""
    model = keras.Sequential([keras.Input(x.shape[1:], dtype=x.dtype.name), *layers])
    total = {"loss": lambda wanted, y: keras.ops.sum(y), "jit_compile": False}
    model.compile(keras.optimizers.SGD(1.0), **total)
    model.train_on_batch(x, np.zeros(model(x).shape, x.dtype))


def _trained(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether a step of training takes the gradient of the sum from every weight."""
    before = layer.get_weights()
    last = layer.data_format == "channels_last"
    how = {n: getattr(layer, n) for n in ("strides", "padding", "dilation_rate", "groups")}
    how["data_format"] = layer.data_format
    other = _like(layer, type(layer).from_config(layer.get_config()), x)
    _trained_on(keras, [other], x)
    ones = np.ones(layer.compute_output_shape(x.shape))
    steps = [kernel_gradient(ones, x.astype(np.float64), layer.kernel_size, **how)]
    if layer.use_bias:
        steps.append(ones.sum((0, 1, 2) if last else (0, 2, 3)))
    wanted = [w - step for w, step in zip(before, steps, strict=True)]
    return _marked(keras, layer, x, all(map(np.array_equal, wanted, other.get_weights())))


def _trained_through(keras: Any, layer: Any, x: NDArray[Any]) -> Any:
    """Whether a frozen layer stays as it is, and the one before it is trained."""
    frozen = _like(layer, type(layer).from_config(layer.get_config()), x)
    frozen.set_weights([np.ones_like(w) for w in frozen.get_weights()])
    frozen.trainable = False
    held = frozen.get_weights()
    channels = x.shape[-1 if layer.data_format == "channels_last" else 1]
    first = keras.layers.Conv2D(channels, 1, data_format=layer.data_format, name="before")
    try:
        _trained_on(keras, [first, frozen], np.ones_like(x))
    except ValueError as error:  # as TensorFlow says that nothing has a gradient
        if "gradient" not in str(error):
            raise
    bias = keras.ops.convert_to_numpy(first.bias)  # zeros at first
    kept = all(map(np.array_equal, held, frozen.get_weights()))
    return _marked(keras, layer, x, kept and bool(bias.any()))


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
    "named_apart": _named_apart,
    "masked": _masked,
    "kept_in_full": _kept_in_full,
    "kernel_frozen": _kernel_frozen,
    "penalty_in_full": _penalty_in_full,
    "lora_of_groups": _lora_of_groups,
    "lora_of_16_bits": _lora_of_16_bits,
    "trained": _trained,
    "trained_through": _trained_through,
}
TRAINING = ("trained", "trained_through")  # of these
OF_TENSORFLOW: dict[str, Way] = {
    "graph": _graph,
    "xla": _xla,
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
