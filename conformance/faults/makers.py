"""Parts that faults are made of: changed problems, changed results, and where they strike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.faults.problem import (
    Problem,
    Reals,
    Wrong,
    correlated,
    is_changed,
    solve,
)
from reference_impl.geometry import Pair


def changed(**changes: Callable[[Problem], Any]) -> Wrong:
    """The solution of the problem with some of its parts changed."""

    def part(problem: Problem, name: str) -> Any:
        value, own = changes[name](problem), getattr(problem, name)
        if name not in ("strides", "dilation"):
            return value
        return tuple(value[axis] if is_changed(axis) else own[axis] for axis in range(2))

    return lambda p: solve(replace(p, **{name: part(p, name) for name in changes}))


def then(change: Callable[[Reals, Problem], Reals]) -> Wrong:
    """The correct solution, changed afterwards; `change` may write to it."""
    return lambda p: change(solve(p), p)


def fitted(value: Reals, output: Pair) -> Reals:
    """`value` cropped or filled up with zeros to the height and width of `output`."""
    height, width = output
    rows, columns = max(height - value.shape[1], 0), max(width - value.shape[2], 0)
    return np.pad(value, ((0, 0), (0, rows), (0, columns), (0, 0)))[:, :height, :width]


def padded(problem: Problem, fill: Callable[[Problem], Reals] | None = None) -> Reals:
    """The input between its pads: zeros, or what `fill` gives for the whole padded input."""
    (top, bottom), (left, right) = problem.pads
    x = np.pad(problem.x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    if fill is None:
        return x
    whole = fill(problem)
    h, w = problem.size
    whole[:, top : top + h, left : left + w] = problem.x
    return whole


def around(problem: Problem) -> Reals:
    """What lies in memory where the pads are read, the input being taken for endless.

    Batch, height and width of an input in channels_last are one line; beyond its ends are zeros.
    """
    (top, _), (left, _) = problem.pads
    n, h, w, c = problem.x.shape
    height, width = padded(problem).shape[1:3]
    line = problem.x.reshape(-1, c)
    rows = np.arange(height)[:, None] - top
    columns = np.arange(width)[None] - left
    index = np.arange(n)[:, None, None] * h * w + (rows * w + columns)[None]
    inside = (index >= 0) & (index < len(line))
    found = np.zeros((n, height, width, c))
    found[inside] = line[index[inside]]
    return found


def without_padding(x: Callable[[Problem], Reals]) -> Wrong:
    """The solution on the padded input that `x` gives."""
    return lambda p: correlated(p, x(p))


def whole_blocks(count: int, block: int) -> int:
    """How many of `count` are in whole blocks; all where there is none."""
    return count // block * block or count


def swap(pair: Pair) -> Pair:
    return pair[1], pair[0]


def refuses(reason: str) -> Wrong:
    """Raises where others compute."""

    def wrong(problem: Problem) -> Reals:
        raise ValueError(reason)

    return wrong


# Where faults strike -----------------------------------------------------------------------------


def both(*conditions: Callable[[Problem], bool]) -> Callable[[Problem], bool]:
    return lambda p: all(condition(p) for condition in conditions)


def grouped(p: Problem) -> bool:
    return p.groups > 1


def ungrouped(p: Problem) -> bool:
    return p.groups == 1


def depthwise(p: Problem) -> bool:
    return p.is_depthwise


def multiplied(p: Problem) -> bool:
    """Depthwise, with several filters a channel."""
    return p.is_depthwise and p.filters > p.channels


def dilated(p: Problem) -> bool:
    return max(p.dilation) > 1


def strided(p: Problem) -> bool:
    return max(p.strides) > 1


def plain(p: Problem) -> bool:
    """Stride 1, no dilation, one group: what fast algorithms are chosen for."""
    return not (strided(p) or dilated(p) or grouped(p))


def pointwise(p: Problem) -> bool:
    return p.window == (1, 1)


def three_by_three(p: Problem) -> bool:
    return p.window == (3, 3)


def is_padded(p: Problem) -> bool:
    return max(max(pads) for pads in p.pads) > 0


def channels_first(p: Problem) -> bool:
    return p.channels_first


def channels_last(p: Problem) -> bool:
    return not p.channels_first


def of_dtype(name: str) -> Callable[[Problem], bool]:
    return lambda p: p.dtype == name


def biased(p: Problem) -> bool:
    return p.bias is not None
