"""One group of a convolution, ready for the loop: ``y[m] = b + sum_k x[base[m] + tap[k]] w[k]``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reference_impl import _kernel

Reals = NDArray[np.float64]
Indices = NDArray[np.intp]
SLACK = _kernel.LANES  # the last tile of filters may read so far beyond the channels


@dataclass(frozen=True, slots=True)
class Correlation:
    """Operands in float64 and the two index vectors.

    Attributes:
        x: flat, contiguous.
        base: (pixels,) offsets into `x`.
        tap: (taps,) offsets from a base.
        w: (taps, filters).
        b: (filters,), or None.
        depthwise: whether `x` moves on with the filter, ``x[base[m] + tap[k] + f]``; `x` then ends
            in `SLACK` numbers that no sum uses.
    """

    x: Reals
    base: Indices
    tap: Indices
    w: Reals
    b: Reals | None = None
    depthwise: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(pixels, filters)."""
        return self.base.size, self.w.shape[1]

    def sums(self) -> Reals:
        """(pixels, filters), accumulated in float64, the bias last."""
        y = self._run(self.x, self.w)
        if self.b is not None:
            y += self.b
        return y

    def paired_sums(self) -> tuple[Reals, Reals]:
        """(pixels, filters) twice: high and low part of the sums in double-double."""
        if self.depthwise:
            return self._paired_by_filter()
        high, low = self._run_paired()
        if self.b is None:
            return high, low
        total = high + self.b
        shift = total - high
        return total, low + ((high - (total - shift)) + (self.b - shift))

    def magnitudes(self) -> Reals:
        """``sum |x||w| + |b|`` for each element: the condition of its sum."""
        y = self._run(np.abs(self.x), np.abs(self.w))
        return y if self.b is None else y + np.abs(self.b)

    def largest_magnitudes(self) -> Reals:
        """(filters,) upper bounds of `magnitudes` without a pass; infinities and NaN left out."""
        peak = max(float(self.x.max(initial=0.0)), -float(self.x.min(initial=0.0)))
        if not math.isfinite(peak):  # NaN as well: it is the greatest and the least
            peak = float(np.abs(self.x).max(initial=0.0, where=np.isfinite(self.x)))
        bound: Reals = peak * np.abs(self.w).sum(axis=0, where=np.isfinite(self.w))
        if self.b is not None:
            bound = bound + np.where(np.isfinite(self.b), np.abs(self.b), 0.0)
        return bound

    def part(self, pixels: Indices, filters: slice) -> Correlation:
        """The correlation of some of the pixels with some of the filters."""
        b = None if self.b is None else self.b[filters]
        base = self.base[pixels] + (filters.start if self.depthwise else 0)
        return Correlation(self.x, base, self.tap, self.w[:, filters], b, self.depthwise)

    def operands(self, pixels: Indices, filters: Indices) -> tuple[Reals, Reals]:
        """(n, taps or taps + 1) twice: the factors of each product, the bias as 1 times b."""
        base = self.base[pixels] + filters if self.depthwise else self.base[pixels]
        left = self.x[base[:, None] + self.tap]
        right = self.w[:, filters].T
        if self.b is None:
            return left, right
        ones = np.ones((len(pixels), 1))
        return np.hstack([left, ones]), np.hstack([right, self.b[filters][:, None]])

    def _run(self, x: Reals, w: Reals) -> Reals:
        pixels, filters = self.shape
        base, packed = _whole_tiles(self.base), _pack(w)
        y = np.empty((base.size, packed.shape[0] * _kernel.LANES))
        _kernel.correlate(x, base, self.tap, packed, y, depthwise=self.depthwise)
        return y[:pixels, :filters]

    def _run_paired(self) -> tuple[Reals, Reals]:
        pixels, filters = self.shape
        base, packed = _whole_tiles(self.base), _pack(self.w)
        y = np.empty((base.size, packed.shape[0] * _kernel.LANES))
        low = np.empty_like(y)
        _kernel.correlate(self.x, base, self.tap, packed, y, low)
        return y[:pixels, :filters], low[:pixels, :filters]

    def _paired_by_filter(self) -> tuple[Reals, Reals]:
        """Each filter on its own channel; the loop has no tile for all of them at once."""
        parts = [
            Correlation(
                self.x,
                self.base + f,
                self.tap,
                self.w[:, f : f + 1],
                None if self.b is None else self.b[f : f + 1],
            ).paired_sums()
            for f in range(self.shape[1])
        ]
        high, low = zip(*parts, strict=True)
        return np.concatenate(high, axis=1), np.concatenate(low, axis=1)


def _whole_tiles(base: Indices) -> Indices:
    """`base` with its last entry repeated up to a whole number of tiles."""
    missing = -base.size % _kernel.TILE_PIXELS
    if not missing or not base.size:
        return base
    return np.concatenate([base, np.full(missing, base[-1])])


def _pack(w: Reals) -> Reals:
    """(taps, filters) as (tiles, taps, lanes), filters padded with zeros."""
    taps, filters = w.shape
    tiles = -(-filters // _kernel.LANES)
    packed = np.zeros((tiles, taps, _kernel.LANES))
    whole = filters // _kernel.LANES
    rest = whole * _kernel.LANES
    packed[:whole] = w[:, :rest].reshape(taps, whole, _kernel.LANES).transpose(1, 0, 2)
    if rest < filters:
        packed[whole, :, : filters - rest] = w[:, rest:]
    return packed
