"""In what calls differ, whatever way their arguments are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.case import Case

_SIZES = ("batch", "height", "width", "channels")
_PAIRS = ("kernel_size", "strides", "dilation_rate")


def parts(case: Case) -> dict[str, Any]:
    """What a call is made of: sizes, arguments, memory, and what its values are drawn from."""
    g = case.geometry
    return {
        **dict(zip(_SIZES, (g.batch, *g.size, g.channels), strict=True)),
        **{name: getattr(g, name) for name in (*_PAIRS, "groups", "padding", "data_format")},
        "filters": case.filters,
        "activation": case.activation or "linear",
        "use_bias": case.has_bias,
        "dtype": case.dtype or "float32",
        "view": case.view,
        "kernel_view": case.kernel_view,
        "bias_view": case.bias_view,
        "weights": case.weights,
        "data": case.data,
        "seed": case.seed,
    }


def differing(cases: tuple[Case, ...]) -> frozenset[str]:
    """The parts in which the last of `cases` differs from any before it.

    Other weights that come with another seed are no difference of their own.
    """
    *before, last = map(parts, cases)
    found = {name for one in before for name in last if one[name] != last[name]}
    return frozenset(found - {"weights"} if "seed" in found else found)


def with_parts(case: Case, changes: Mapping[str, Any]) -> Case:
    """`case` with some of its parts changed; it may be no valid one."""
    found = {**parts(case), **changes}
    batch, height, width, channels = (found[name] for name in _SIZES)
    first = found["data_format"] == "channels_first"
    shape = (batch, channels, height, width) if first else (batch, height, width, channels)
    written = {name: value for name, value in changes.items() if name not in _SIZES}
    for name in _PAIRS:
        if name in written and len({*written[name]}) == 1:
            written[name] = written[name][0]
    return replace(case, input_shape=shape, **written)
