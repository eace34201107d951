"""Input values of a case: a kind and a seed, never drawn element by element.

``integers`` decide by exact equality: no value is zero, and every partial sum of every order is an
exactly representable integer. ``small`` are integers too, so small that the errors of a Winograd or
FFT convolution stay below one half. The other kinds are judged by an error bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.layouts import BIAS_AXES, KERNEL_AXES, input_axes, laid_out
from reference_impl.dtypes import as_dtype, format_of
from reference_impl.geometry import spatial_axes

LARGEST_INTEGER = 64
LARGEST_SMALL = 4
INTEGER_KINDS = frozenset({"integers", "small"})
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
    x, kernel, bias = (values.astype(dtype) for values in _KINDS[case.data](rng, case))
    of_input = input_axes(len(x), spatial_axes(case.geometry.data_format))
    view, owner = laid_out(x, case.view, of_input)
    return Arrays(
        view,
        owner,
        laid_out(kernel, case.kernel_view, KERNEL_AXES)[0],
        laid_out(bias, case.bias_view, BIAS_AXES)[0] if case.has_bias else None,
    )


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


_KINDS = {
    "integers": _integers,
    "small": _small,
    "normal": _normal,
    "cancelling": _cancelling,
    "wide": _wide,
}
