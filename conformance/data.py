"""Input values of a case: a kind and a seed, never drawn element by element.

``integers`` decide by exact equality: no value is zero, and every partial sum of every order is an
exactly representable integer. ``small`` are integers too, so small that the errors of a Winograd or
FFT convolution stay below one half. ``special`` has NaN and infinity in one of the arrays, and in
``masked`` they meet zeros of the other one; see `conformance.special`. The other kinds are judged
by an error bound: ``tiny`` and ``huge`` near one end of the range, ``subnormal`` below it,
``uneven`` with a large input and small weights, whose products are ordinary,
``zeros`` with zeros of both signs, ``knees`` where the activation of the case bends, saturates, or
is computed in another way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.layouts import BIAS_AXES, KERNEL_AXES, input_axes, laid_out
from conformance.refusals import REFUSALS
from reference_impl.dtypes import as_dtype, format_of
from reference_impl.geometry import effective_size, spatial_axes

LARGEST_INTEGER = 64
LARGEST_SMALL = 4
INTEGER_KINDS = frozenset({"integers", "small"})
SPECIAL_KINDS = frozenset({"special", "masked"})
OVERWRITTEN = 7.0  # what arrays are filled with, once a layer was given them as weights
TINY_EXPONENTS = {"float16": -4, "bfloat16": -40, "float32": -40, "float64": -400}
UNEVEN_EXPONENTS = {"float16": 11, "bfloat16": 60, "float32": 60, "float64": 400}
WIDE_EXPONENTS = {"float16": 3, "bfloat16": 12, "float32": 12, "float64": 60}


@dataclass(frozen=True, slots=True)
class Arrays:
    """What an implementation is given for one case.

    Attributes:
        x: the input, in the compute dtype and perhaps a view into `owner`.
        owner: the array that owns the memory of `x`; what lies outside `x` is a canary.
        kernel: (kh, kw, C // groups, filters), compute dtype, in memory as the case says.
        bias: (filters,), compute dtype, likewise, or None.
    """

    x: NDArray[Any]
    owner: NDArray[Any]
    kernel: NDArray[Any]
    bias: NDArray[Any] | None


def arrays(case: Case) -> Arrays:
    """The arrays of `case`; the same for the same case on every machine."""
    rng = np.random.Generator(np.random.SFC64(case.seed))
    dtype = as_dtype(case.compute_dtype)
    x, kernel, bias = _KINDS[case.data](rng, case)
    if case.weights is not None:
        kernel, bias = _weights(case, case.weights)
    x, kernel, bias = (values.astype(dtype) for values in (x, kernel, bias))
    if case.but in REFUSALS:
        x = REFUSALS[case.but].changed(x, case.geometry)
    of_input = input_axes(len(x), spatial_axes(case.geometry.data_format))
    view, owner = laid_out(x, case.view, of_input)
    return Arrays(
        view,
        owner,
        laid_out(kernel, case.kernel_view, KERNEL_AXES)[0],
        laid_out(bias, case.bias_view, BIAS_AXES)[0] if case.has_bias else None,
    )


def _weights(case: Case, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Kernel and bias from a seed of their own, as they come with the smallest input.

    The last bit of the seed is the sign of the weight in the middle, or of the next that is not 0.
    """
    g = case.geometry
    h, w = (effective_size(k, d) for k, d in zip(g.kernel_size, g.dilation_rate, strict=True))
    last = g.data_format == "channels_last"
    smallest = replace(case, input_shape=(1, h, w, g.channels) if last else (1, g.channels, h, w))
    rng = np.random.Generator(np.random.SFC64(seed // 2))
    _, kernel, bias = _KINDS[case.data](rng, smallest)
    if seed % 2:
        flat = kernel.reshape(-1)
        middle = flat.size // 2
        flat[middle + np.flatnonzero(flat[middle:])[:1]] *= -1
    return kernel, bias


def tamed(data: Arrays) -> Arrays:
    """`data` with zeros in place of NaN and infinity."""
    return replace(data, x=_tame(data.x), kernel=_tame(data.kernel), bias=_tame_or_none(data.bias))


def _tame(values: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.isfinite(values.astype(np.float64)), values, values.dtype.type(0))


def _tame_or_none(values: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if values is None else _tame(values)


def integer_limit(taps: int, dtype: str, largest: int = LARGEST_INTEGER) -> int:
    """Largest ``m <= largest`` with ``taps * m**2 + m <= 2**p``, 0 if there is none.

    ``p`` is the precision of the dtype, at most float32's: a float32 accumulator then holds every
    partial sum exactly, whatever the order.
    """
    room = 2 ** min(format_of(dtype).precision, 24)
    m = min(int(((room - 1) / max(taps, 1)) ** 0.5) + 1, largest)
    while m > 0 and taps * m * m + m > room:
        m -= 1
    return m


Triple = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def _integers(rng: np.random.Generator, case: Case, largest: int = LARGEST_INTEGER) -> Triple:
    *_, depth, _ = case.kernel_shape
    taps = case.geometry.kernel_size[0] * case.geometry.kernel_size[1] * depth
    m = integer_limit(taps, case.compute_dtype, largest)
    kernel = _nonzero_integers(rng, case.kernel_shape, max(m, 1))
    if m == 0:
        # More taps than the format can count: keep as many weights as it can, known to be exact.
        kept = 2 ** format_of(case.compute_dtype).precision - 1
        weights = kernel.reshape(taps, case.filters)
        for column in weights.T:
            column[rng.permutation(taps)[kept:]] = 0
    m = max(m, 1)
    return (
        _nonzero_integers(rng, case.input_shape, m),
        kernel,
        _nonzero_integers(rng, (case.filters,), m),
    )


def _small(rng: np.random.Generator, case: Case) -> Triple:
    return _integers(rng, case, LARGEST_SMALL)


def _nonzero_integers(rng: np.random.Generator, shape: tuple[int, ...], m: int) -> NDArray[Any]:
    values = rng.integers(0, 2 * m, shape, dtype=np.int16)
    return values - m + (values >= m)


def _normal(rng: np.random.Generator, case: Case) -> Triple:
    drawn = np.float64 if case.compute_dtype == "float64" else np.float32
    return (
        rng.standard_normal(case.input_shape, drawn),
        rng.standard_normal(case.kernel_shape, drawn),
        rng.standard_normal(case.filters, drawn),
    )


def _cancelling(rng: np.random.Generator, case: Case) -> Triple:
    """Weights that nearly cancel: half of them oppose the others, on a nearly constant input."""
    x, kernel, bias = _normal(rng, case)
    x = 1 + x / 16
    taps = kernel.reshape(-1, case.filters)
    half = len(taps) // 2
    taps[half : 2 * half] = -taps[:half] * (1 + taps[half : 2 * half] / 256)
    return x, kernel, bias / 64


def _wide(rng: np.random.Generator, case: Case) -> Triple:
    """Exponents spread evenly over many binades."""
    reach = WIDE_EXPONENTS[case.compute_dtype]
    return tuple(  # type: ignore[return-value]
        np.ldexp(values.astype(np.float64), rng.integers(-reach, reach, values.shape))
        for values in _normal(rng, case)
    )


def _special(rng: np.random.Generator, case: Case) -> Triple:
    """A few NaN and infinities in the input, more rarely in the kernel or the bias."""
    arrays = _normal(rng, case)
    place = int(rng.choice([0, 0, 0, 0, 1, 2]))
    values = arrays[0 if place == 2 and not case.has_bias else place].reshape(-1)
    chosen = [np.nan, np.inf, -np.inf][slice(*_SPECIALS[rng.integers(len(_SPECIALS))])]
    count = min(values.size, 1 + int(rng.integers(1 + values.size // 64)))
    values[rng.permutation(values.size)[:count]] = rng.choice(chosen, count)
    return arrays


def _masked(rng: np.random.Generator, case: Case) -> Triple:
    """Special values, and zeros of either sign for half of the other array."""
    x, kernel, bias = _special(rng, case)
    if np.isfinite(kernel).all():
        kernel = np.where(rng.random(kernel.shape) < 0.5, np.copysign(0, kernel), kernel)
    else:
        x = np.where(rng.random(x.shape) < 0.5, np.copysign(0, x), x)
    return x, kernel, bias


# Which of NaN, inf and -inf are met together.
_SPECIALS = ((0, 1), (1, 2), (2, 3), (1, 3), (0, 3))


def _scaled(rng: np.random.Generator, case: Case, x: int, kernel: int) -> Triple:
    """Normal values times powers of two, whose results have the size of their product."""
    drawn = _normal(rng, case)
    wide = [values.astype(np.float64) for values in drawn]
    return tuple(  # type: ignore[return-value]
        np.ldexp(values, power) for values, power in zip(wide, (x, kernel, x + kernel), strict=True)
    )


def _tiny(rng: np.random.Generator, case: Case) -> Triple:
    """Everything tiny for its dtype, and no product below the normal range of its sum."""
    power = TINY_EXPONENTS[case.compute_dtype]
    return _scaled(rng, case, power, power)


def _huge(rng: np.random.Generator, case: Case) -> Triple:
    """Results near the largest number: in bfloat16 far beyond the range of float16."""
    total = int(np.log2(format_of(case.compute_dtype).largest))
    total -= int(np.log2(max(case.geometry.taps, 1))) + 1
    if case.compute_dtype == "float64":
        total -= 8  # the reference's own sums stay finite
    return _scaled(rng, case, total // 2, total - total // 2)


def _uneven(rng: np.random.Generator, case: Case) -> Triple:
    """The input far above 1 and the weights as far below it, but in the normal range."""
    power = UNEVEN_EXPONENTS[case.compute_dtype]
    x, kernel, bias = (values.astype(np.float64) for values in _normal(rng, case))
    kernel = np.copysign(1 + abs(kernel), kernel)
    return np.ldexp(x, power), np.ldexp(kernel, -power), bias


def _subnormal(rng: np.random.Generator, case: Case) -> Triple:
    """Inputs or results on both sides of the smallest normal number."""
    lowest = format_of(case.compute_dtype).min_exponent
    x = int(rng.choice([lowest - 2, lowest, lowest // 2]))
    return _scaled(rng, case, x, lowest - x + int(rng.integers(-2, 2)))


def _zeros(rng: np.random.Generator, case: Case) -> Triple:
    """Half of the inputs and weights are zeros of either sign."""
    x, kernel, bias = _normal(rng, case)
    x, kernel = (np.where(rng.random(a.shape) < 0.5, np.copysign(0, a), a) for a in (x, kernel))
    return x, kernel, bias


# Where activations bend, saturate, or change their formula. Fixed for ever, since a case string
# means these values; what is not listed bends at 0.
KNEES: dict[str, tuple[float, ...]] = {
    "relu6": (0, 6),
    "hard_tanh": (-1, 1),
    "hard_shrink": (-0.5, 0.5),
    "soft_shrink": (-0.5, 0.5),
    "hard_sigmoid": (-3, 3),
    "hard_silu": (-3, -1.5, 3),
    "hard_swish": (-3, -1.5, 3),
    "sparse_plus": (-1, 1),
    "sparse_sigmoid": (-1, 1),
    "tanh": (0, -4.97, 7.9, 9.01, 18.7),
    "tanh_shrink": (0, -1, 9.01),
    "gelu": (-0.75, 0, -2.2, 2.2, -5.5, 5.5, -13.3),
    "silu": (-1.28, 0, 9, -17, 17),
    "swish": (-1.28, 0, 9, -17, 17),
    "mish": (-1.19, 0, -5, 8, 20),
    "softplus": (0, -2.85, 2.85, -4.93, 4.93, -13.94, 13.94, 20, -34.04, 34.04),
    "log_sigmoid": (0, -2.85, 2.85, -4.93, 4.93, -13.94, 13.94, -20, -34.04, 34.04),
    "sigmoid": (0, -9, -18, 16.6),
    "squareplus": (0, -2, -64, 64),
}
# Those that take exp of their argument: near the ends of the range of it.
_EXPONENTIAL = ("exponential", "sigmoid", "silu", "swish", "mish", "softplus", "log_sigmoid", "elu")


def _knees(rng: np.random.Generator, case: Case) -> Triple:
    """Sums about the knees of the activation, one for each filter, more or less near to it.

    The bias is the knee; without one, the weights of an input of nearly ones sum to it.
    """
    x, kernel, bias = (values.astype(np.float64) for values in _normal(rng, case))
    name = case.activation or "linear"
    knees = KNEES.get(name, (0,))
    if name in _EXPONENTIAL:
        end = float(np.log(format_of(case.compute_dtype).largest))
        knees = (*knees, end, -end)
    at = rng.choice(np.array(knees, np.float64), case.filters)
    spread = np.exp2(rng.integers(-12, 2, case.filters).astype(np.float64))
    taps = max(case.geometry.taps, 1)
    kernel *= spread / taps**0.5
    if case.has_bias:
        return x, kernel, at + bias * spread
    return 1 + x / 16, kernel + at / taps, bias


_KINDS = {
    "integers": _integers,
    "small": _small,
    "normal": _normal,
    "cancelling": _cancelling,
    "wide": _wide,
    "special": _special,
    "tiny": _tiny,
    "huge": _huge,
    "uneven": _uneven,
    "subnormal": _subnormal,
    "zeros": _zeros,
    "knees": _knees,
    "masked": _masked,
}
