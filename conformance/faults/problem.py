"""A convolution as a fault sees it, and its correct solution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.data import Arrays
from reference_impl.convolution import accumulate
from reference_impl.dtypes import format_of
from reference_impl.geometry import Geometry, Pair, effective_size, output_size
from reference_impl.geometry import pads as same_pads
from reference_impl.rounding import round_to

Reals = NDArray[np.float64]
Wrong = Callable[["Problem"], Any]
PadRule = Callable[[int, int, int, int], Pair]  # (size, extent, stride, kernel size) -> pads


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A convolution to solve: channels last, float64, arguments as pairs.

    Attributes:
        x, kernel, bias: as for a function, in float64.
        strides, dilation, groups: its arguments.
        same, channels_first: whether padding is ``same``, whether the call is channels_first.
        dtype: of the call.
        given: input, kernel and bias as they were handed over.
    """

    x: Reals
    kernel: Reals
    bias: Reals | None
    strides: Pair
    dilation: Pair
    groups: int
    same: bool
    channels_first: bool
    dtype: str
    given: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]

    @classmethod
    def of(cls, case: Case, data: Arrays) -> Problem:
        """The problem of a case."""
        return cls.of_call(data.x, data.kernel, data.bias, **case.function_arguments())

    @classmethod
    def of_call(
        cls,
        x: NDArray[Any],
        kernel: NDArray[Any],
        bias: NDArray[Any] | None = None,
        *,
        strides: Pair,
        padding: str,
        data_format: str,
        dilation_rate: Pair,
        groups: int,
    ) -> Problem:
        """The problem of a call of a function.

        Raises:
            ValueError: it is no convolution.
        """
        Geometry.of(
            x.shape,
            kernel.shape,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
        )
        first = data_format == "channels_first"
        wide = x.astype(np.float64)
        return cls(
            x=np.moveaxis(wide, 1, -1) if first else wide,
            kernel=kernel.astype(np.float64),
            bias=None if bias is None else bias.astype(np.float64),
            strides=strides,
            dilation=dilation_rate,
            groups=groups,
            same=padding == "same",
            channels_first=first,
            dtype=x.dtype.name,
            given=(x, kernel, bias),
        )

    @property
    def size(self) -> Pair:
        """(height, width) of the input."""
        h, w = self.x.shape[1:3]
        return h, w

    @property
    def window(self) -> Pair:
        """(height, width) of the kernel."""
        h, w = self.kernel.shape[:2]
        return h, w

    @property
    def channels(self) -> int:
        return int(self.x.shape[3])

    @property
    def filters(self) -> int:
        return int(self.kernel.shape[3])

    @property
    def is_depthwise(self) -> bool:
        return 1 < self.groups == self.channels

    @property
    def sizes(self) -> list[tuple[int, int, int, int]]:
        """(input size, kernel extent, stride, kernel size) for height and width."""
        axes = zip(self.size, self.window, self.dilation, self.strides, strict=True)
        return [(n, effective_size(k, d), s, k) for n, k, d, s in axes]

    @property
    def pads(self) -> tuple[Pair, Pair]:
        """(before, after) for height and width."""
        if not self.same:
            return (0, 0), (0, 0)
        height, width = (same_pads(n, e, s, "same") for n, e, s, _ in self.sizes)
        return height, width

    @property
    def output(self) -> Pair:
        """(height, width) of the correct result."""
        padding = "same" if self.same else "valid"
        h, w = (output_size(n, e, s, padding) for n, e, s, _ in self.sizes)
        return h, w

    def laid_out(self, value: Reals) -> Reals:
        """A result in the layout of the call."""
        return np.ascontiguousarray(np.moveaxis(value, -1, 1) if self.channels_first else value)

    def finished(self, value: Reals) -> NDArray[Any]:
        """A result in the layout and dtype of the call."""
        return round_to(self.laid_out(value), format_of(self.dtype))


def solve(problem: Problem, pad: PadRule | None = None, mode: Any = "constant") -> Reals:
    """The solution, channels last; with `pad`, ``same`` pads by that rule instead.

    Raises:
        ValueError: the problem is no convolution.
    """
    inner = _INNER.get()
    if inner is not None and pad is None and mode == "constant":
        with solved_by(None):
            value: Reals = inner(problem)
            return value
    x = problem.x
    if problem.same:
        for axis, (sizes, right) in enumerate(zip(problem.sizes, problem.pads, strict=True)):
            changed = is_changed(axis)
            widths = [(0, 0)] * 4
            widths[1 + axis] = pad(*sizes) if pad is not None and changed else right
            x = np.pad(x, widths, mode if changed else "constant")
    return correlated(problem, x)


# What a fault meets where it is a part of another; see `derived`.
_INNER: ContextVar[Wrong | None] = ContextVar("inner", default=None)
_ONLY: ContextVar[int | None] = ContextVar("only", default=None)


@contextmanager
def solved_by(wrong: Wrong | None) -> Iterator[None]:
    """Within this, `solve` gives what `wrong` gives, where it is not asked for other pads."""
    token = _INNER.set(wrong)
    try:
        yield
    finally:
        _INNER.reset(token)


@contextmanager
def only_along(axis: int) -> Iterator[None]:
    """Within this, pads and pairs are changed along one axis only."""
    token = _ONLY.set(axis)
    try:
        yield
    finally:
        _ONLY.reset(token)


def is_changed(axis: int) -> bool:
    """Whether what is changed is changed along `axis`."""
    return _ONLY.get() in (None, axis)


def correlated(problem: Problem, x: Reals) -> Reals:
    """The solution of `problem` without padding, for the input `x`."""
    return accumulate(
        x,
        problem.kernel,
        problem.bias,
        strides=problem.strides,
        dilation_rate=problem.dilation,
        groups=problem.groups,
    ).value
