"""How far a result may be from the exact sum once it is rounded to a format narrower than the sums.

Rounding to nearest is monotone. So a sum within ``e`` of the exact ``y`` becomes, rounded once, a
number in ``[fl(y - e), fl(y + e)]``: mostly a single one, where ``u |y|`` would allow two. With a
bias ``b`` the sum ``c`` of the products may be rounded before it is added, as Keras does: then the
result lies in ``[fl(fl(c - e) + b), fl(fl(c + e) + b)]``, and the addition may be in float32. A sum
in float64 may become float32 on the way, as conversions of ml_dtypes to bfloat16 do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reference_impl.dtypes import FloatFormat, format_of
from reference_impl.rounding import round_to

Reals = NDArray[np.float64]


def bound_once_rounded(exact: Reals, error: Reals, bias: Reals | None, fmt: FloatFormat) -> Reals:
    """The largest distance from `exact` of a result, whose sum is off by at most `error`.

    `bias` is None without one; else it is part of `exact`, and may be added after a rounding.
    """
    u = format_of("float32").unit_roundoff
    error = error + u * (np.abs(exact) + error)
    low, high = _rounded(exact - error, fmt), _rounded(exact + error, fmt)
    if bias is not None:
        products = exact - bias
        early_low = _rounded(products - error, fmt) + bias
        early_high = _rounded(products + error, fmt) + bias
        low = np.minimum(low, _rounded(early_low - u * np.abs(early_low), fmt))
        high = np.maximum(high, _rounded(early_high + u * np.abs(early_high), fmt))
    return np.maximum(exact - low, high - exact)


def _rounded(values: Reals, fmt: FloatFormat) -> Reals:
    """Rounded to `fmt`; the magnitude of the sum decides whether infinity is correct there."""
    rounded = round_to(values, fmt).astype(np.float64)
    return np.clip(rounded, -fmt.largest, fmt.largest)
