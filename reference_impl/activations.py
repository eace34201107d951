"""Every activation function that Keras 3.15.1 knows by name.

Each takes an array of any shape and returns a new array of its shape (``glu`` halves one axis) and
dtype. Values are computed in float64 and rounded once to the dtype of the input; float64 inputs get
plain float64 arithmetic. Input of any other dtype gives float32. Nothing
warns: overflow gives infinity and undefined values give NaN, at the same places as Keras' formulas.

``softmax``, ``log_softmax``, ``sparsemax`` and ``glu`` work on the last axis by default whatever
the layer's ``data_format``, because Keras' Conv2D calls its activation with the output alone.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import numpy as np
import numpy.typing as npt

from reference_impl.dtypes import FLOATS, format_of
from reference_impl.rounding import round_to
from reference_impl.serialization import object_config

Array = npt.NDArray[Any]
Activation = Callable[..., Any]
Axis = int | tuple[int, ...] | None
P = ParamSpec("P")

ACTIVATIONS: dict[str, Activation] = {}

# Klambauer et al., 2017, https://arxiv.org/abs/1706.02515
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _activation(
    formula: Callable[Concatenate[Array, P], Array],
) -> Callable[Concatenate[npt.ArrayLike, P], Array]:
    """Register ``formula`` under its name, evaluated in float64 and rounded once."""

    @functools.wraps(formula)
    def rounded(x: npt.ArrayLike, /, *args: P.args, **kwargs: P.kwargs) -> Array:
        array = np.asarray(x)
        fmt = format_of(array.dtype if array.dtype.name in FLOATS else "float32")
        with np.errstate(all="ignore"):
            values = formula(array.astype(np.float64), *args, **kwargs)
        return round_to(values, fmt)

    ACTIVATIONS[formula.__name__] = rounded
    return rounded


@_activation
def linear(x: Array) -> Array:
    """``x``"""
    return x


@_activation
def relu(
    x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Array:
    """``max(x, 0)``; with arguments: 0 up to ``threshold``, then ``x``, at most ``max_value``.

    Below the threshold ``negative_slope * (x - threshold)`` is added.
    """
    positive = np.where(x > threshold, x, 0.0) if threshold else np.maximum(x, 0.0) + 0.0
    if max_value is not None:
        positive = np.clip(positive, 0.0, max_value)
    if not negative_slope:
        return positive
    return positive - negative_slope * np.maximum(threshold - x, 0.0)


@_activation
def leaky_relu(x: Array, negative_slope: float = 0.2) -> Array:
    """``x`` where positive, else ``negative_slope * x``"""
    return np.where(x > 0, x, negative_slope * x)


@_activation
def relu6(x: Array) -> Array:
    """``min(max(x, 0), 6)``"""
    return np.clip(x, 0.0, 6.0) + 0.0


@_activation
def elu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``"""
    return np.where(x > 0, x, alpha * np.expm1(x))


@_activation
def selu(x: Array) -> Array:
    """``scale * x`` where positive, else ``scale * alpha * (exp(x) - 1)``"""
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))


@_activation
def celu(x: Array, alpha: float = 1.0) -> Array:
    """``max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)``"""
    return np.maximum(x, 0.0) + alpha * np.expm1(np.minimum(x, 0.0) / alpha)


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1.0) / (1.0 + small)


def _softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


@_activation
def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``"""
    return _sigmoid(x)


@_activation
def log_sigmoid(x: Array) -> Array:
    """``-log(1 + exp(-x))``"""
    return -_softplus(-x)


@_activation
def softplus(x: Array) -> Array:
    """``log(1 + exp(x))``"""
    return _softplus(x)


@_activation
def silu(x: Array) -> Array:
    """``x * sigmoid(x)``, also called swish"""
    return x * _sigmoid(x)


@_activation
def mish(x: Array) -> Array:
    """``x * tanh(softplus(x))``"""
    return x * np.tanh(_softplus(x))


@_activation
def gelu(x: Array, approximate: bool = False) -> Array:
    """``x * P(X <= x)`` for a standard normal X; ``approximate`` takes the tanh formula."""
    if approximate:
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    # erfc keeps the relative accuracy of the left tail, where 1 + erf cancels.
    tail: Array = _erfc(-x / math.sqrt(2.0))
    return 0.5 * x * tail


@_activation
def tanh(x: Array) -> Array:
    """``tanh(x)``"""
    return np.tanh(x)


@_activation
def tanh_shrink(x: Array) -> Array:
    """``x - tanh(x)``"""
    # The difference cancels near 0, where the Taylor series is exact to float64.
    square = x * x
    series = 1 / 3 + square * (
        -2 / 15 + square * (17 / 315 + square * (-62 / 2835 + square * (1382 / 155925)))
    )
    return np.where(np.abs(x) < 0.05, x * square * series, x - np.tanh(x))


@_activation
def softsign(x: Array) -> Array:
    """``x / (1 + |x|)``"""
    return x / (1.0 + np.abs(x))


@_activation
def exponential(x: Array) -> Array:
    """``exp(x)``"""
    return np.exp(x)


@_activation
def squareplus(x: Array, b: float = 4) -> Array:
    """``(x + sqrt(x^2 + b)) / 2``"""
    root = np.hypot(x, math.sqrt(b))
    # Left of 0 the sum cancels; its conjugate does not, except at -inf, where Keras has NaN.
    conjugate = np.where(np.isneginf(x), np.nan, 0.5 * b / (root - x))
    return np.where(x < 0, conjugate, 0.5 * (x + root))


@_activation
def hard_sigmoid(x: Array) -> Array:
    """``relu6(x + 3) / 6``"""
    return np.clip(x + 3.0, 0.0, 6.0) / 6.0


@_activation
def hard_silu(x: Array) -> Array:
    """``x * relu6(x + 3) / 6``, also called hard swish"""
    return x * (np.clip(x + 3.0, 0.0, 6.0) / 6.0)


@_activation
def hard_tanh(x: Array) -> Array:
    """``min(max(x, -1), 1)``"""
    return np.clip(x, -1.0, 1.0)


@_activation
def hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    """``x`` where ``|x| > threshold``, else 0"""
    return np.where(np.abs(x) > threshold, x, 0.0)


@_activation
def soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    """``x`` moved by ``threshold`` towards 0, and 0 where ``|x| <= threshold``"""
    return np.where(x > threshold, x - threshold, np.where(x < -threshold, x + threshold, 0.0))


@_activation
def threshold(x: Array, threshold: float, default_value: float) -> Array:
    """``x`` where ``x > threshold``, else ``default_value``; no defaults, as in Keras"""
    return np.where(x > threshold, x, default_value)


@_activation
def sparse_plus(x: Array) -> Array:
    """0 up to -1, ``(x + 1)^2 / 4`` up to 1, then ``x``"""
    return np.where(x <= -1, 0.0, np.where(x < 1, 0.25 * (x + 1.0) ** 2, x))


@_activation
def sparse_sigmoid(x: Array) -> Array:
    """0 up to -1, ``(x + 1) / 2`` up to 1, then 1"""
    return np.where(x <= -1, 0.0, np.where(x >= 1, 1.0, 0.5 * (x + 1.0)))


def _below_maximum(x: Array, axis: Axis) -> Array:
    maximum: Array = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return x - maximum


@_activation
def softmax(x: Array, axis: Axis = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along ``axis``"""
    weights = np.exp(_below_maximum(x, axis))
    total: Array = np.sum(weights, axis=axis, keepdims=True)
    return weights / total


@_activation
def log_softmax(x: Array, axis: Axis = -1) -> Array:
    """``x - log(sum(exp(x)))`` along ``axis``"""
    below = _below_maximum(x, axis)
    total: Array = np.sum(np.exp(below), axis=axis, keepdims=True)
    return below - np.log(total)


@_activation
def sparsemax(x: Array, axis: int = -1) -> Array:
    """``max(x - tau, 0)`` with ``tau`` such that each vector along ``axis`` sums to 1

    This is the definition that Keras cites (Martins and Astudillo, 2016). Keras 3.15.1 computes
    another ``tau`` when more than one element stays positive, and then does not sum to 1.
    """
    # Moving a vector moves its tau alike; below its maximum no partial sum loses the 1.
    below = np.moveaxis(_below_maximum(x, axis), axis, -1)
    descending = -np.sort(-below, axis=-1)
    sums = np.cumsum(descending, axis=-1)
    support = descending - (sums - 1.0) / np.arange(1, below.shape[-1] + 1) > 0
    count = np.sum(support, axis=-1, keepdims=True)
    tau = (np.sum(np.where(support, descending, 0.0), axis=-1, keepdims=True) - 1.0) / count
    return np.moveaxis(np.maximum(below - tau, 0.0), -1, axis)


@_activation
def glu(x: Array, axis: int = -1) -> Array:
    """``a * sigmoid(b)`` for the halves of ``axis``, which must have even length (ValueError)"""
    if x.shape[axis] % 2:
        raise ValueError(
            f"axis size must be divisible by 2. Received: x.shape={x.shape} with axis={axis}"
        )
    values, gates = np.split(x, 2, axis=axis)
    return values * _sigmoid(gates)


ALIASES = {"swish": silu, "hard_swish": hard_silu}


def get(identifier: Any) -> Activation:
    """Return the activation that ``identifier`` stands for; ``None`` is :func:`linear`.

    Accepts a case-sensitive name, any callable (kept as it is) or a function's config dict. Raises
    ``ValueError`` for anything else, and ``TypeError`` for the config dict of something unknown.
    """
    found: Any = identifier
    if identifier is None:
        found = linear
    elif isinstance(identifier, dict):
        found = _from_config(identifier)
    elif isinstance(identifier, str):
        found = _named(identifier)
    if not callable(found):
        raise ValueError(f"Could not interpret activation function identifier: {identifier}")
    return found  # type: ignore[no-any-return]


def serialize(activation: Any) -> Any:
    """Return Keras' config form of an activation: its name if built in, else a config dict."""
    name = getattr(activation, "__name__", None)
    if isinstance(activation, types.FunctionType) and ACTIVATIONS.get(str(name)) is activation:
        return name
    return object_config(activation)


def deserialize(config: Any) -> Activation:
    """Return the activation of what :func:`serialize` gave, as :func:`get` does."""
    return get(config)


def _named(name: str) -> Activation | None:
    return ACTIVATIONS.get(name) or ALIASES.get(name)


def _from_config(config: dict[str, Any]) -> Any:
    if "class_name" not in config or "config" not in config:
        return None
    is_function = config["class_name"] == "function"
    found = _named(config["config"]) if is_function else None
    if found is None:
        kind, name = (
            ("function", config["config"]) if is_function else ("class", config["class_name"])
        )
        raise TypeError(
            f"Could not locate {kind} '{name}'. Only the built-in activation functions are known "
            f"by name; pass the object itself. Full object config: {config}"
        )
    return found
