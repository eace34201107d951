"""Rounding float64 values to the result's dtype, once, to nearest with ties to even."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference_impl.dtypes import FloatFormat


def round_to(values: NDArray[np.float64], fmt: FloatFormat) -> NDArray[Any]:
    """`values` rounded to `fmt`; overflow gives infinities, NaN stays NaN.

    bfloat16 needs care: a direct conversion from float64 goes through float32 and rounds twice
    (``1 + 2**-8 + 2**-40`` would become 1). Rounding to odd in float32 first keeps what the
    second rounding has to know.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if fmt.name != "bfloat16":
            return values.astype(fmt.dtype, copy=False)
        return _to_odd_float32(values).astype(fmt.dtype)


def _to_odd_float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """float32 by rounding to odd: an inexact result gets the neighbour with an odd last bit."""
    nearest = values.astype(np.float32)
    wrong = (nearest != values) & np.isfinite(values)
    toward_zero = np.where(
        np.abs(nearest) > np.abs(values), np.nextafter(nearest, np.float32(0)), nearest
    )
    odd = (toward_zero.view(np.uint32) | np.uint32(1)).view(np.float32)
    return np.where(wrong, odd, nearest)
