"""What NaN and infinity among the values of a case make of each element of its result.

The terms of an element are the products of its window inside the input, and its bias. IEEE 754
decides the sum of such terms in any order (clauses 6.1 and 6.2): one NaN makes it NaN, infinities
of both signs do, those of one sign make it that infinity, and all else is untouched.

*Open* is what a convolution may do either way, so it is not judged but told: NaN or infinity times
zero, which one that skips zeros never computes; such weights over the padding, which one that skips
the padding never reads; NaN and infinity through an activation, and all else behind one that is not
exact, which other data decide. A Winograd or FFT convolution spreads such a value over its whole
sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.capabilities import Capabilities
from conformance.case import Case
from conformance.criteria import EXACT_ACTIVATIONS, Expected, error_ratio
from conformance.data import Arrays
from reference_impl.convolution import accumulate
from reference_impl.dtypes import format_of

Mask = NDArray[np.bool_]


class Sort(IntEnum):
    """What an element of a result is, or must be."""

    FINITE = 0
    NAN = 1
    PLUS = 2
    MINUS = 3
    OPEN = 4


SHOWN = {Sort.NAN: "NaN", Sort.PLUS: "inf", Sort.MINUS: "-inf", Sort.FINITE: "a finite number"}


def sorts(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The sort of each of `values`."""
    wide = values.astype(np.float64)
    plain = np.full(wide.shape, Sort.FINITE, np.uint8)
    plain[np.isnan(wide)] = Sort.NAN
    plain[np.isposinf(wide)] = Sort.PLUS
    plain[np.isneginf(wide)] = Sort.MINUS
    return plain


@dataclass(frozen=True, slots=True)
class Special:
    """What a case with special values must give.

    Attributes:
        sort: of each element.
        finite: what the terms without a special value must give.
        open: where nothing but one open thing decides, by what that is.
    """

    sort: NDArray[np.uint8]
    finite: Expected
    open: dict[str, Mask]

    def seen(self, got: NDArray[Any]) -> dict[str, str]:
        """What became of each open thing in `got`."""
        found = sorts(got)
        return {what: _told(found[mask]) for what, mask in self.open.items()}

    def wrong(self, got: NDArray[Any]) -> Mask:
        """Which elements of `got` are wrong."""
        found = sorts(got)
        differs = found != self.sort
        infinite = (self.sort == Sort.PLUS) | (self.sort == Sort.MINUS)
        differs &= ~(infinite & self.finite.overflow & (found == Sort.NAN))
        finite = self.sort == Sort.FINITE
        differs[finite] = (error_ratio(got, self.finite) > 1)[finite]
        wrong: Mask = differs & (self.sort != Sort.OPEN)
        return wrong


def special(case: Case, data: Arrays, capabilities: Capabilities, finite: Expected) -> Special:
    """What `case` must give; `finite` is what its finite terms must."""
    window = _Windows(case, data)
    sort = np.full(window.shape, Sort.FINITE, np.uint8)
    plus, minus = window.infinite(1), window.infinite(-1)
    sort[plus] = Sort.PLUS
    sort[minus] = Sort.MINUS
    unsure = window.unsure()
    for mask in unsure.values():
        sort[mask] = Sort.OPEN
    nan = (plus & minus) | window.nan()
    sort[nan] = Sort.NAN
    alone = _alone(unsure, nan | plus | minus)
    if case.activation not in (None, "linear"):
        alone = {f"NaN through {case.activation}": nan} if nan.shape == finite.value.shape else {}
        open_too = sort != Sort.FINITE if case.activation in EXACT_ACTIVATIONS else True
        sort = np.broadcast_to(np.where(open_too, Sort.OPEN, Sort.FINITE), finite.value.shape)
        sort = sort.astype(np.uint8)
    if capabilities.algorithm != "direct":
        held = ~np.isfinite(data.x.astype(np.float64)).all(axis=(1, 2, 3))
        sort[held] = Sort.OPEN
        if not np.isfinite(data.kernel.astype(np.float64)).all():
            sort[...] = Sort.OPEN
        alone = {}  # it spreads
    return Special(sort, finite, {what: mask for what, mask in alone.items() if mask.any()})


def _alone(unsure: dict[str, Mask], decided: Mask) -> dict[str, Mask]:
    """Where one of the things that are open stands alone, beside nothing that decides."""
    number = sum((mask.astype(int) for mask in unsure.values()), np.zeros(decided.shape, int))
    return {what: mask & (number == 1) & ~decided for what, mask in unsure.items()}


def _told(found: NDArray[np.uint8]) -> str:
    """What elements are, in a word."""
    met = {Sort(int(sort)) for sort in np.unique(found)}
    if met == {Sort.NAN}:
        return "NaN"
    if met == {Sort.FINITE}:
        return "a number"
    return "infinity" if met <= {Sort.PLUS, Sort.MINUS} else "mixed"


class _Windows:
    """Which elements have which terms: sums of ones and zeros over windows."""

    def __init__(self, case: Case, data: Arrays) -> None:
        self.case = case
        self.x, self.kernel = (a.astype(np.float64) for a in (data.x, data.kernel))
        bias = np.zeros(case.filters) if data.bias is None else data.bias.astype(np.float64)
        first = case.geometry.data_format == "channels_first"
        self.bias = bias[:, None, None] if first else bias
        self.shape = case.geometry.output_shape
        # What may be flushed counts as zero.
        self.least = 2.0 ** format_of(case.compute_dtype).min_exponent

    def nan(self) -> Mask:
        """NaN is among the terms, and not only times zero."""
        x, k = self.x, self.kernel
        met = self._meet(np.isnan(x), self._nonzero(k)) | self._meet(self._nonzero(x), np.isnan(k))
        return met | np.isnan(self.bias)

    def infinite(self, sign: int) -> Mask:
        """An infinity of this sign is among the terms."""
        met = np.broadcast_to(self.bias == sign * np.inf, self.shape)
        for side in (1, -1):
            x, k = side * self.x, sign * side * self.kernel
            met = met | self._meet(x == np.inf, k >= self.least)
            met = met | self._meet(x >= self.least, k == np.inf)
        return met

    def unsure(self) -> dict[str, Mask]:
        """Where a special value meets a zero, or a special weight the padding."""
        found: dict[str, Mask] = {}
        for name, is_one in (("NaN", np.isnan), ("infinity", np.isinf)):
            x, kernel = is_one(self.x), is_one(self.kernel)
            met = self._meet(x, ~self._nonzero(self.kernel))
            found[f"{name} times zero"] = met | self._meet(~self._nonzero(self.x), kernel)
            over = np.zeros(self.shape, bool)
            if kernel.any():
                inside = self._count(np.ones(self.x.shape, bool), kernel)
                over = inside < kernel.sum(axis=(0, 1, 2)).reshape(self.bias.shape)
            found[f"weight of {name} over padding"] = over
        return found

    def _nonzero(self, values: NDArray[np.float64]) -> Mask:
        return ~(np.abs(values) < self.least)  # NaN is no zero

    def _meet(self, x: Mask, kernel: Mask) -> Mask:
        if not (x.any() and kernel.any()):
            return np.zeros(self.shape, bool)
        met: Mask = self._count(x, kernel) > 0
        return met

    def _count(self, x: Mask, kernel: Mask) -> NDArray[np.float64]:
        ones = (x.astype(np.float64), kernel.astype(np.float64))
        return accumulate(*ones, None, magnitude=False, **self.case.function_arguments()).value
