"""The floating-point formats of Conv2D, and what error analysis needs to know of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A binary floating-point format with gradual underflow.

    Attributes:
        name: the name Keras uses, e.g. ``"bfloat16"``.
        dtype: the NumPy dtype.
        precision: bits of the significand, the hidden one included.
        min_exponent: exponent of the smallest normal number, ``2**min_exponent``.
        largest: the largest finite number.
    """

    name: str
    dtype: np.dtype[Any]
    precision: int
    min_exponent: int
    largest: float

    @property
    def unit_roundoff(self) -> float:
        """``u``: the largest relative error of rounding a number in the normal range to nearest."""
        return 2.0**-self.precision

    @property
    def smallest_subnormal(self) -> float:
        """``eta``: the distance between neighbouring numbers below the normal range."""
        return 2.0 ** (self.min_exponent - self.precision + 1)


def _format(name: str, dtype: Any) -> FloatFormat:
    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    return FloatFormat(name, np.dtype(dtype), info.nmant + 1, int(info.minexp), float(info.max))


FORMATS = {
    name: _format(name, dtype)
    for name, dtype in (
        ("float16", np.float16),
        ("bfloat16", ml_dtypes.bfloat16),
        ("float32", np.float32),
        ("float64", np.float64),
    )
}
FLOATS = tuple(FORMATS)


def as_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a float name; ``bfloat16`` is the one of ml_dtypes.

    Raises:
        ValueError: the name is not one of `FLOATS`.
    """
    return format_of(name).dtype


@cache
def format_of(dtype: Any) -> FloatFormat:
    """The `FloatFormat` of a name or NumPy dtype.

    Raises:
        ValueError: the dtype is not one of `FLOATS`.
    """
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    try:
        return FORMATS[name]
    except KeyError:
        raise ValueError(f"dtype {name!r} is not one of {', '.join(FLOATS)}") from None


def common_format(**arrays: NDArray[Any] | None) -> FloatFormat:
    """The `FloatFormat` that all `arrays` have; None is no array.

    Raises:
        ValueError: a dtype is not one of `FLOATS`, or two differ; names the arrays.
    """
    formats = {name: format_of(a.dtype) for name, a in arrays.items() if a is not None}
    if len(set(formats.values())) > 1:
        told = ", ".join(f"{name} is {fmt.name}" for name, fmt in formats.items())
        raise ValueError(f"arrays must have one dtype: {told}")
    return next(iter(formats.values()))
