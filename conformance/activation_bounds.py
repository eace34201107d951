"""What an activation may give for a sum that is not exact: a rounding analysis of its formula.

For a sum within ``e`` of ``z``, the exact values are the image of ``[z - e, z + e]``. Each end may
be off by what the published formula loses, when each of its steps is rounded in the format of the
result: the rows of `FORMULAS`, in unit roundoffs. Their derivation is the usual one (Higham,
Accuracy and Stability, chapter 3): a step adds its own error, relative to what it gives, and passes
on those of its arguments times its derivative. What cancels, as ``1 + erf`` does in the left tail
of gelu, leaves the error of what was there before. So gelu is held to roundoffs of ``|z|``, which
keeps the formula with tanh away from the one with erf, and softplus to roundoffs of
``1 + softplus``.

The steps are as good as OpenCL 3.0 demands (C language, section 7.4, and for 16 bits the extension
cl_khr_fp16; see `Steps`). Formulas that lose less than the published one, such as
``log1p(exp(-|z|)) + max(z, 0)``, are within its bound. Rows are of first order; lemma 3.1 of the
same book makes them rigorous: dividing by ``1 - n u``, for at most `Steps.path` roundoffs in a row.
What a step gives below the normal range may be 0, and the next one multiplies that by at most
``1 + |z|``, or 1 in softmax. It is twice that, since ``exp`` may be scaled by ``2^n`` in the two
steps ``2^(n-1)`` and 2, as oneDNN does so as not to overflow: the first one may be 0.

On top of that come rules that hold for every formula, however it rounds, because each of its steps
is monotone: the range of the activation (softplus is never negative), and its sign. Because the
image of an interval is taken, results of sums that certainly differ are in order where the
activation is monotone, but for the same roundings; no formula promises more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reference_impl import activations
from reference_impl.activations import SELU_ALPHA, SELU_SCALE
from reference_impl.dtypes import FloatFormat, format_of

Reals = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Steps:
    """Errors of single steps, in unit roundoffs of what they give; a ULP is at most two of them.

    Attributes:
        exp, log, tanh, erf, pow, sqrt: also of ``expm1``, ``log1p`` and ``erfc``.
        divide: also by a product with the reciprocal, which is two roundings.
        path: the most roundoffs that follow one another in a formula.
    """

    exp: float
    log: float
    tanh: float
    erf: float
    pow: float
    sqrt: float
    divide: float
    path: int


_HALF = Steps(exp=4, log=4, tanh=4, erf=8, pow=8, sqrt=1, divide=2, path=16)
_SINGLE = Steps(exp=6, log=6, tanh=10, erf=32, pow=32, sqrt=6, divide=5, path=40)
STEPS = {
    "float16": _HALF,
    "bfloat16": _HALF,  # OpenCL has no bfloat16
    "float32": _SINGLE,
    "float64": replace(_SINGLE, sqrt=1, divide=2),
}

# The error of evaluating at z what is f there, in unit roundoffs.
Loss = Callable[[Reals, Reals, Steps], Reals]


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A row of the analysis.

    Attributes:
        loss: of the published formula; None where each step is exact.
        least, most: the range, as far as its ends are numbers of every format.
        signed: whether a result has the sign of its argument.
        lowest: where a function that is not monotone has its minimum.
    """

    loss: Loss | None = None
    least: float = -np.inf
    most: float = np.inf
    signed: bool = True
    lowest: float | None = None


def _sigmoid(z: Reals) -> Reals:
    found: Reals = activations.get("sigmoid")(z)
    return found


def _of_sigmoid(z: Reals, s: Steps) -> Reals:
    """``1 / (1 + exp(-z))``, relative: of what is added to 1 the part is ``sigmoid(-z)``."""
    return s.exp * _sigmoid(-z) + 1 + s.divide


def _of_softplus(z: Reals, f: Reals, s: Steps) -> Reals:
    """``log(1 + exp(z))``, absolute: relative errors in the logarithm become absolute ones."""
    return s.exp * _sigmoid(z) + 1 + s.log * np.abs(f)


def _log_sigmoid(z: Reals, f: Reals, s: Steps) -> Reals:
    """``log(1 / (1 + exp(-z)))``"""
    return _of_sigmoid(z, s) + s.log * np.abs(f)


def _mish(z: Reals, f: Reals, s: Steps) -> Reals:
    """``z * tanh(softplus(z))``"""
    inner: Reals = activations.get("softplus")(z)
    outer = np.tanh(inner)
    within: Reals = (1 - outer * outer) * _of_softplus(z, inner, s) + s.tanh * outer
    return np.abs(z) * within + np.abs(f)


def _gelu(z: Reals, f: Reals, s: Steps) -> Reals:
    """``0.5 * z * (1 + erf(z / sqrt(2)))``

    The argument of erf is a product with a rounded constant, so 2 roundoffs of it, which erf makes
    at most 2 ``max |w erf'(w)|`` < 1; then erf itself, and its sum with 1, which is at most 2.
    """
    lost: Reals = 0.5 * (1 + s.erf + 2) * np.abs(z) + 2 * np.abs(f)
    return lost


def _below_zero(z: Reals, f: Reals, s: Steps) -> Reals:
    """``exp(z) - 1``, where z is negative; times 1."""
    left: Reals = s.exp * np.exp(np.minimum(z, 0)) + (s.exp + 2) * np.abs(f)
    return np.where(z < 0, left, 0.0)


def _selu(z: Reals, f: Reals, s: Steps) -> Reals:
    """``scale * z`` and ``scale * alpha * (exp(z) - 1)``, with rounded constants."""
    left = s.exp * SELU_SCALE * SELU_ALPHA * np.exp(np.minimum(z, 0)) + (s.exp + 5) * np.abs(f)
    return np.where(z < 0, left, 2 * np.abs(f))


def _squareplus(z: Reals, f: Reals, s: Steps) -> Reals:
    """``(z + sqrt(z * z + 4)) / 2``: the root halves the two errors of what is under it."""
    root: Reals = np.hypot(z, 2.0)
    return 0.5 * root * (1 + s.sqrt) + f


def _hard_sigmoid(z: Reals, f: Reals, s: Steps) -> Reals:
    """``relu6(z + 3) / 6`` or, as Keras documents it, ``z / 6 + 0.5`` from -3 to 3."""
    return s.divide * np.minimum(np.abs(z), 3) / 6 + (1 + s.divide) * f


def _hard_silu(z: Reals, f: Reals, s: Steps) -> Reals:
    return np.abs(z) * _hard_sigmoid(z, activations.get("hard_sigmoid")(z), s) + np.abs(f)


FORMULAS: dict[str, Formula] = {
    "linear": Formula(),
    "relu": Formula(least=0),
    "relu6": Formula(least=0, most=6),
    "hard_tanh": Formula(least=-1, most=1),
    "hard_shrink": Formula(),
    "leaky_relu": Formula(loss=lambda z, f, s: np.where(z < 0, 2 * np.abs(f), 0.0)),
    "soft_shrink": Formula(loss=lambda z, f, s: np.abs(f)),
    "hard_sigmoid": Formula(loss=_hard_sigmoid, least=0, most=1, signed=False),
    "hard_silu": Formula(loss=_hard_silu, lowest=-1.5),
    "sparse_plus": Formula(
        loss=lambda z, f, s: np.where(z < 1, (2 + s.pow) * f, 0.0), least=0, signed=False
    ),
    "sparse_sigmoid": Formula(loss=lambda z, f, s: f, least=0, most=1, signed=False),
    "softsign": Formula(loss=lambda z, f, s: (1 + s.divide) * np.abs(f), least=-1, most=1),
    "elu": Formula(loss=_below_zero, least=-1),
    "celu": Formula(loss=_below_zero, least=-1),
    "selu": Formula(loss=_selu),
    "exponential": Formula(loss=lambda z, f, s: s.exp * f, least=0, signed=False),
    "sigmoid": Formula(loss=lambda z, f, s: _of_sigmoid(z, s) * f, least=0, most=1, signed=False),
    "log_sigmoid": Formula(loss=_log_sigmoid, most=0, signed=False),
    "softplus": Formula(loss=_of_softplus, least=0, signed=False),
    "silu": Formula(
        loss=lambda z, f, s: (_of_sigmoid(z, s) + 1) * np.abs(f), lowest=-1.2784645427610738
    ),
    "mish": Formula(loss=_mish, lowest=-1.1924312379923494),
    "gelu": Formula(loss=_gelu, lowest=-0.7517915246935645),
    "tanh": Formula(loss=lambda z, f, s: s.tanh * np.abs(f), least=-1, most=1),
    "tanh_shrink": Formula(
        loss=lambda z, f, s: s.tanh * np.abs(np.tanh(z)) + np.abs(f), signed=False
    ),
    "squareplus": Formula(loss=_squareplus, least=0, signed=False),
}
FORMULAS |= {name: FORMULAS[function.__name__] for name, function in activations.ALIASES.items()}


@dataclass(frozen=True, slots=True)
class Image:
    """What an activation may give, float64 and of the shape of its result.

    Attributes:
        value: for the exact sum.
        bound: the largest error.
        least, most: what no result is below or above; infinite where nothing is known of a sum.
    """

    value: Reals
    bound: Reals
    least: Reals
    most: Reals


def image(name: str, z: Reals, error: Reals, fmt: FloatFormat) -> Image:
    """What the activation called `name` gives for sums within `error` of `z`, in `fmt`.

    `error` may be infinite. The activations of `MIXING` work along the last axis.
    """
    u = fmt.unit_roundoff / (1 - STEPS[fmt.name].path * fmt.unit_roundoff)
    u += format_of("float64").unit_roundoff  # the reference rounds, too
    with np.errstate(all="ignore"):
        if name in MIXING:
            return MIXING[name](z, error, fmt, u)
        return _elementwise(name, z, error, fmt, u)


def _flushed(fmt: FloatFormat) -> float:
    """What a step may lose below the normal range."""
    return 2 * 2.0**fmt.min_exponent


def _elementwise(name: str, z: Reals, error: Reals, fmt: FloatFormat, u: float) -> Image:
    formula, function, steps = FORMULAS[name], activations.get(name), STEPS[fmt.name]
    value = function(z)
    low, high = value.copy(), value.copy()
    points = [z, z - error, z + error]
    if formula.lowest is not None:
        points.append(np.clip(formula.lowest, z - error, z + error))
    for point in points:
        f = function(point)
        lost: Reals | float = 0.0
        if formula.loss is not None:
            lost = u * formula.loss(point, f, steps)
            lost = lost + _flushed(fmt) * (1 + np.abs(point))
        low, high = np.minimum(low, f - lost), np.maximum(high, f + lost)
    bound = np.maximum(high - value, value - low)
    unknown = ~np.isfinite(error) | np.isnan(bound)  # nan where exp overflows float64
    bound = np.where(unknown, np.inf, bound)
    least = np.where(unknown, -np.inf, low)
    most = np.where(unknown, np.inf, high)
    if formula.signed:
        least = np.where(z >= error, np.maximum(least, 0.0), least)
        most = np.where(z <= -error, np.minimum(most, 0.0), most)
    return Image(value, bound, np.maximum(least, formula.least), np.minimum(most, formula.most))


def _around(value: Reals, bound: Reals, least: float = -np.inf, most: float = np.inf) -> Image:
    bound = np.where(np.isnan(bound), np.inf, bound)
    low, high = np.maximum(value - bound, least), np.minimum(value + bound, most)
    return Image(value, bound, low, high)


def _along(z: Reals, error: Reals) -> tuple[Reals, Reals, Reals]:
    """How far each sum is below the largest, how much that may be off, and its weight."""
    below = z.max(axis=-1, keepdims=True, initial=-np.inf) - z
    off = error + error.max(axis=-1, keepdims=True, initial=0.0)
    return below, off, activations.get("softmax")(z)


def _of_weights(below: Reals, weights: Reals, steps: Steps) -> tuple[Reals, Reals]:
    """Relative errors of ``exp(z - max)``, and of their sum."""
    each = below + steps.exp
    total = (weights * each).sum(axis=-1, keepdims=True) + max(below.shape[-1] - 1, 0)
    return each, total


def _softmax(z: Reals, error: Reals, fmt: FloatFormat, u: float) -> Image:
    """``exp(z - max) / sum(exp(z - max))``"""
    below, off, value = _along(z, error)
    each, total = _of_weights(below, value, STEPS[fmt.name])
    lost = u * (each + total + STEPS[fmt.name].divide)
    bound = value * np.expm1(off + lost) + _flushed(fmt)
    return _around(value, np.minimum(bound, 1.0), 0.0, 1.0)


def _log_softmax(z: Reals, error: Reals, fmt: FloatFormat, u: float) -> Image:
    """``z - max - log(sum(exp(z - max)))``"""
    below, off, weights = _along(z, error)
    value = activations.get("log_softmax")(z)
    steps = STEPS[fmt.name]
    _, total = _of_weights(below, weights, steps)
    lost = below + total + steps.log * np.abs(value + below) + np.abs(value)
    return _around(value, off + u * lost + _flushed(fmt), most=0.0)


def _sparsemax(z: Reals, error: Reals, fmt: FloatFormat, u: float) -> Image:
    """``max(z - tau, 0)``: the threshold is a mean of sums of up to n elements, less 1."""
    _, off, _ = _along(z, error)
    largest = 1 + np.abs(z).max(axis=-1, keepdims=True, initial=0.0)
    lost = u * (z.shape[-1] + 3) * 2 * largest
    return _around(activations.get("sparsemax")(z), off + lost + _flushed(fmt), 0.0, 1.0)


def _glu(z: Reals, error: Reals, fmt: FloatFormat, u: float) -> Image:
    """``a * sigmoid(b)``, which is linear in the one and monotone in the other."""
    (a, b), (of_a, of_b) = (np.split(v, 2, axis=-1) for v in (z, error))
    value = activations.get("glu")(z)
    low, high = value.copy(), value.copy()
    for gate in (b, b - of_b, b + of_b):
        for factor in (a, a - of_a, a + of_a):
            f = factor * _sigmoid(gate)
            lost = u * (_of_sigmoid(gate, STEPS[fmt.name]) + 1) * np.abs(f)
            lost = lost + _flushed(fmt) * (1 + np.abs(factor))
            low, high = np.minimum(low, f - lost), np.maximum(high, f + lost)
    return _around(value, np.maximum(high - value, value - low))


MIXING: dict[str, Callable[[Reals, Reals, FloatFormat, float], Image]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sparsemax": _sparsemax,
    "glu": _glu,
}
