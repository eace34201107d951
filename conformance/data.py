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
from reference_impl.dtypes import as_dtype, format_of
from reference_impl.geometry import spatial_axes

LARGEST_INTEGER = 64
LARGEST_SMALL = 4
INTEGER_KINDS = frozenset({"integers", "small"})
CANARY = 77
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
    owner = _owner(x.astype(dtype), case)
    return Arrays(
        _view(owner, case),
        owner,
        _laid_out(kernel.astype(dtype), case.kernel_view),
        _laid_out(bias.astype(dtype), case.bias_view) if case.has_bias else None,
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


def _owner(values: NDArray[Any], case: Case) -> NDArray[Any]:
    """The array in whose memory `values` lie as the view of the case says, canaries around them."""
    if case.view is None:
        return values
    if case.view == "sliced":
        owner = np.full((len(values), *(2 * n + 1 for n in values.shape[1:])), CANARY, values.dtype)
        owner[:, 1::2, 1::2, 1::2] = values
        return owner
    return np.ascontiguousarray(_view(values, case))  # the other views are their own inverse


def _view(owner: NDArray[Any], case: Case) -> NDArray[Any]:
    """The input within its owner."""
    if case.view == "sliced":
        return owner[:, 1::2, 1::2, 1::2]
    if case.view == "transposed":
        return owner.transpose(3, 2, 1, 0)
    return (
        np.flip(owner, spatial_axes(case.geometry.data_format))
        if case.view == "reversed"
        else owner
    )


def _laid_out(values: NDArray[Any], view: str | None) -> NDArray[Any]:
    """A copy of weights that lies in memory as `view` says."""
    if view == "oihw":
        return np.ascontiguousarray(values.transpose(3, 2, 0, 1)).transpose(2, 3, 1, 0)
    if view == "sliced":
        owner = np.full([2 * n + 1 for n in values.shape], CANARY, values.dtype)
        inner = owner[(slice(1, None, 2),) * values.ndim]
        inner[...] = values
        return inner
    if view == "reversed":
        axes = (0, 1)[: values.ndim]
        return np.flip(np.ascontiguousarray(np.flip(values, axes)), axes)
    return values.copy()
