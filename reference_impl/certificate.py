"""Correct rounding, proved for each element.

A sum in floating point comes with a bound of its error. Where rounding the ends of the interval
gives the same bits, those bits are the correctly rounded exact sum. Where it does not, the element
is decided exactly: either all terms lie on a lattice on which the sum is exact already, or the
terms are added without any error.

With ``n`` terms, ``S = sum |terms|`` and ``u = 2**-53``:

* float32, float16, bfloat16: every product is exact in float64, and the sum is off by at most
  ``n u S`` (Jeannerod and Rump, 2013).
* float64: products and additions keep their errors in a low word, which itself is off by at most
  ``(n + 2)**2 u**2 S``, and by ``2**-1074`` for each product that underflows.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference_impl import _kernel
from reference_impl.correlation import Correlation, Indices, Reals
from reference_impl.dtypes import FloatFormat
from reference_impl.rounding import round_to

Elements = tuple[Indices, Indices]  # (pixels, filters)

U = 2.0**-53
IN_CACHE = 2**14  # elements rounded at a time
GATHERED = 2**21  # terms gathered at a time where elements are decided one by one


class Certificate(IntEnum):
    """How an element was shown to be correctly rounded."""

    BOUND = 0  # both ends of its error interval round to it
    LATTICE = 1  # every term is a multiple of a number that makes the sum exact
    SUMMED = 2  # its terms were added exactly
    IEEE = 3  # an infinity or a NaN among its terms decides it


def certified(correlation: Correlation, fmt: FloatFormat) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """(pixels, filters) twice: the exact sums rounded once to `fmt`, and each one's `Certificate`.

    Round to nearest, ties to even; overflow gives an infinity, underflow a subnormal or zero; an
    exact sum of zero is +0. A term that is NaN or infinite acts as in IEEE arithmetic.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        sums = _DoubleDouble(correlation) if fmt.precision == 53 else _Double(correlation, fmt)
        value, doubtful = sums.rounded()
        how = np.zeros(value.shape, np.uint8)
        if not doubtful[0].size:
            return value, how
        nearest = sums.nearest[doubtful]
        finite = np.isfinite(nearest)
        if finite.all() and sums.on_a_lattice():
            value[doubtful] = round_to(nearest, fmt)
            how[doubtful] = Certificate.LATTICE
            return value, how
        unsettled = sums.settle(value, _some(doubtful, finite))
        pixels, filters = map(np.concatenate, zip(unsettled, _some(doubtful, ~finite), strict=True))
        step = max(1, GATHERED // (correlation.tap.size + 1))
        for start in range(0, pixels.size, step):
            part = pixels[start : start + step], filters[start : start + step]
            value[part], how[part] = _one_by_one(sums, *correlation.operands(*part), value.dtype)
        return value, how


class _Double:
    """float64 sums of products that float64 holds exactly, for the narrower formats."""

    def __init__(self, correlation: Correlation, fmt: FloatFormat) -> None:
        self.correlation, self.fmt = correlation, fmt
        self.nearest = correlation.sums()
        self.largest = correlation.largest_magnitudes()

    def rounded(self) -> tuple[NDArray[Any], Elements]:
        """The sums in the format, and which elements may have to be another number."""
        error = (self.correlation.tap.size + 4) * U * self.largest
        value = np.empty(self.nearest.shape, self.fmt.dtype)
        found = []
        step = max(1, IN_CACHE // max(error.size, 1))
        for start in range(0, len(value), step):
            rows = slice(start, start + step)
            above = self.nearest[rows] + error
            value[rows] = round_to(above, self.fmt)
            below = round_to(self.nearest[rows] - error, self.fmt)
            pixels, filters = np.nonzero(_differ(below, value[rows]) | ~np.isfinite(above))
            if pixels.size:
                found.append((pixels + start, filters))
        return value, _joined(found)

    def on_a_lattice(self) -> bool:
        return _on_a_lattice(self.correlation, float(self.largest.max(initial=0.0)))

    def settle(self, value: NDArray[Any], doubtful: Elements) -> Elements:
        """Decide what the sums in double-double decide, eight filters at a time; what is left."""
        unit = _paired_unit(self.correlation)
        tiles = doubtful[1] // _kernel.LANES
        left = []
        for tile in np.unique(tiles):
            pixels, filters = _some(doubtful, tiles == tile)
            own = slice(tile * _kernel.LANES, (tile + 1) * _kernel.LANES)
            each, row = np.unique(pixels, return_inverse=True)
            high, low = self.correlation.part(each, own).paired_sums()
            nearest = (high + low)[row, filters - own.start]
            below = round_to(np.nextafter(nearest, -np.inf), self.fmt)
            above = round_to(np.nextafter(nearest, np.inf), self.fmt)
            # The exact sum lies between the neighbours of `nearest`.
            sure = unit * self.largest[filters] < np.spacing(np.abs(nearest)) / 2
            settled = sure & ~_differ(below, above)
            value[pixels[settled], filters[settled]] = above[settled]
            left.append((pixels[~settled], filters[~settled]))
        return _joined(left)

    def exact(self, left: Reals, right: Reals) -> NDArray[Any]:
        """The exact sum of ``left * right``, rounded once to the format."""
        terms = (left * right).tolist()
        nearest = math.fsum(terms)
        rest = math.fsum([*terms, -nearest])
        if rest and not math.frexp(nearest)[0] * 2**53 % 2:
            # Rounding to odd keeps what the second rounding has to know.
            nearest = math.nextafter(nearest, math.copysign(math.inf, rest))
        return round_to(np.array(nearest), self.fmt)


class _DoubleDouble:
    """Sums in double-double, for float64."""

    def __init__(self, correlation: Correlation) -> None:
        self.correlation = correlation
        self.high, self.low = correlation.paired_sums()
        self.nearest = self.high + self.low
        self.largest = correlation.largest_magnitudes()

    def rounded(self) -> tuple[NDArray[Any], Elements]:
        """The sums in float64, and which elements may have to be another number."""
        value, unsure = self._within(self.largest)
        pixels, filters = np.nonzero(unsure | ~np.isfinite(value))
        return value, (pixels, filters)

    def on_a_lattice(self) -> bool:
        # The high word loses nothing; the low one adds up what it would have lost.
        carried = 2 * (self.correlation.tap.size + 3) * U
        return _on_a_lattice(self.correlation, carried * float(self.largest.max(initial=0.0)))

    def settle(self, value: NDArray[Any], doubtful: Elements) -> Elements:
        """Decide what the true magnitudes decide, worth a pass where many are in doubt."""
        if 8 * doubtful[0].size < value.size:
            return doubtful
        right, unsure = self._within(self.correlation.magnitudes())
        settled = ~unsure[doubtful]
        value[_some(doubtful, settled)] = right[_some(doubtful, settled)]
        return _some(doubtful, ~settled)

    def _within(self, magnitudes: Reals) -> tuple[Reals, NDArray[np.bool_]]:
        error = _paired_unit(self.correlation) * magnitudes
        error = error + (self.correlation.tap.size + 1) * 2.0**-1072  # products that underflow
        value = self.high + (self.low + error)
        return value, _differ(self.high + (self.low - error), value)

    def exact(self, left: Reals, right: Reals) -> NDArray[Any]:
        """The exact sum of ``left * right``, rounded once to float64."""
        factors = [
            (math.frexp(a), math.frexp(b))
            for a, b in zip(left.tolist(), right.tolist(), strict=True)
        ]
        scale = min((ea + eb for (_, ea), (_, eb) in factors), default=0) - 106
        total = sum(
            int(a * 2**53) * int(b * 2**53) << (ea + eb - 106 - scale)
            for (a, ea), (b, eb) in factors
        )
        try:
            return np.array(total / 2**-scale if scale < 0 else float(total << scale))
        except OverflowError:
            return np.array(math.inf if total > 0 else -math.inf)


def _some(elements: Elements, chosen: NDArray[np.bool_]) -> Elements:
    return elements[0][chosen], elements[1][chosen]


def _joined(parts: list[Elements]) -> Elements:
    none = np.empty(0, np.intp)
    pixels, filters = zip(*parts, (none, none), strict=True)
    return np.concatenate(pixels), np.concatenate(filters)


def _one_by_one(
    sums: _Double | _DoubleDouble, left: Reals, right: Reals, dtype: Any
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Elements whose terms are the rows of ``left * right``."""
    value = np.empty(len(left), dtype)
    how = np.empty(len(left), np.uint8)
    special = ~(np.isfinite(left) & np.isfinite(right))
    for i, row in enumerate(special):
        if row.any():
            value[i], how[i] = (left[i][row] * right[i][row]).sum(), Certificate.IEEE
        else:
            value[i], how[i] = sums.exact(left[i], right[i]), Certificate.SUMMED
    return value, how


def _paired_unit(correlation: Correlation) -> float:
    """Error of a sum in double-double, as a share of its magnitude; twice what the proof needs."""
    return 2 * ((correlation.tap.size + 3) * U) ** 2


def _on_a_lattice(correlation: Correlation, largest: float) -> bool:
    """Whether all terms are multiples of a power of two of which float64 can count to `largest`."""
    x, w = correlation.x, correlation.w.reshape(-1)
    # Most data fails on some of its numbers already; the first ones may all be padding.
    for steps in ((max(1, x.size // 64), max(1, w.size // 64)), (1, 1)):
        unit = _lowest_bit(x[:: steps[0]]) + _lowest_bit(w[:: steps[1]])
        if correlation.b is not None:
            unit = min(unit, _lowest_bit(correlation.b))
        if unit < -1022 or (unit < 900 and largest >= math.ldexp(1.0, 53 + int(unit))):
            return False
    return unit < 900


def _lowest_bit(values: Reals) -> float:
    """Exponent of the lowest bit set in any of the values; infinite where all are zero."""
    fraction, exponent = np.frexp(values[values != 0])
    if not fraction.size:
        return math.inf
    digits = (fraction * 2.0**53).astype(np.int64)
    lowest = np.frexp((digits & -digits).astype(np.float64))[1] - 1
    return float((exponent - 53 + lowest).min())


def _differ(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the bits differ: those of +0 and -0 do."""
    unsigned = f"u{a.dtype.itemsize}"
    differ: NDArray[np.bool_] = a.view(unsigned) != b.view(unsigned)
    return differ
