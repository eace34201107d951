"""Calls that are no convolution: a case but for one thing, which a function has to refuse.

Names are part of case strings (``but.NAME``), so they stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference_impl.geometry import Geometry, channel_axis, effective_size, spatial_axes

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row.

    Attributes:
        words: what is wrong with the call.
        applies: to which convolutions it can be done.
        needs: the same in words.
        changed: the input that makes the call wrong.
    """

    words: str
    applies: Callable[[Geometry], bool]
    needs: str
    changed: Callable[[Array, Geometry], Array]


def _too_low(x: Array, geometry: Geometry) -> Array:
    """The first rows of `x`, one fewer than the kernel reaches over."""
    axis = spatial_axes(geometry.data_format)[0]
    extent = effective_size(geometry.kernel_size[0], geometry.dilation_rate[0])
    return x.take(np.arange(extent - 1), axis)


def _one_channel_more(x: Array, geometry: Geometry) -> Array:
    axis = channel_axis(geometry.data_format)
    return np.concatenate([x, x.take([0], axis)], axis)


def _is_tall(geometry: Geometry) -> bool:
    return geometry.padding == "valid" and geometry.kernel_size[0] > 1


REFUSALS: dict[str, Refusal] = {
    "kernel_exceeds_input": Refusal(
        "a kernel larger than the input, without padding",
        _is_tall,
        "padding valid and a kernel more than one row high",
        _too_low,
    ),
    "channels_uneven": Refusal(
        "channels that the groups do not divide",
        lambda geometry: geometry.groups > 1,
        "more than one group",
        _one_channel_more,
    ),
}
