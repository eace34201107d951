"""The rungs of the ladders, in the order in which they are tried, and the case of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from conformance.axes import DATA_FORMATS
from conformance.case import Case
from conformance.plan.asking import Asked
from conformance.plan.factors import FACTORS, NUMBER
from conformance.plan.ladders import LADDERS, Ladder, Layer
from conformance.plan.rows import SEEDS, Pick
from reference_impl.geometry import Pair, effective_size

_KERNELS: tuple[Pair, ...] = ((3, 3), (2, 3), (3, 2), (1, 3), (3, 1), (1, 1))
# Axes of size 1 may have any strides: an engine that finds the length of a row in them fails.
_SHORT = ((1, 1), (1, 2), (2, 1), (1, 7), (7, 1))


@dataclass(frozen=True, slots=True)
class Rung:
    """One value of a ladder, in one mode.

    Attributes:
        ladder, value: as in `Ladder`.
        mode: a padding, perhaps with a remainder, or with an input of whole strides.
        kernel_size: for a layer whose kernel is open.
        data_format, dtype: what the ladder says of them, or None.
        again: whether the value comes in another mode too, before this one.
    """

    ladder: Ladder
    value: Any
    mode: str
    kernel_size: Pair
    data_format: str | None = None
    dtype: str | None = None
    again: bool = False


def rungs() -> Iterator[Rung]:
    """The last rung of each ladder in every mode, the others in one, then these in another."""
    for nth in range(4):
        for at, ladder in enumerate(LADDERS):
            for mode in _every(ladder)[nth : nth + 1]:
                other = None if (at + nth) % 4 == 0 else at + nth
                yield from _rung(ladder, ladder.rungs[-1], mode, other)
    for nth in range(2):
        for at, ladder in enumerate(LADDERS):
            for n, value in enumerate(ladder.rungs[:-1]):
                modes = ladder.modes[(at + n + n // len(ladder.modes)) % len(ladder.modes)]
                three = (at + n // 2) % 2 == nth  # 3x3, which many engines compute by other code
                for mode in modes[nth : nth + 1]:
                    found = _rung(ladder, value, mode, None if three else at + n)
                    yield from (replace(rung, again=nth > 0) for rung in found)


def _every(ladder: Ladder) -> tuple[str, ...]:
    return tuple(mode for modes in ladder.modes for mode in modes)


def tops() -> tuple[int, int]:
    """How many rungs come before the others: the last of each ladder in one mode, and in all."""
    found = [[*_rung(ladder, ladder.rungs[-1], "valid", 0)] for ladder in LADDERS]
    lengths = list(map(len, found))
    every = [n * len(_every(ladder)) for n, ladder in zip(lengths, LADDERS, strict=True)]
    return sum(lengths), sum(every)


def _rung(ladder: Ladder, value: Any, mode: str, other: int | None) -> Iterator[Rung]:
    """With a kernel of 3x3, or with another one."""
    kernels = _KERNELS[1 : -1 if mode == "same" else None]  # 1x1 is there no other than ``valid``
    kernel = _KERNELS[0] if other is None else kernels[other % len(kernels)]
    formats = tuple(DATA_FORMATS.values()) if ladder.formats else (None,)
    dtypes = tuple(FACTORS[NUMBER["dtype"]].levels) if ladder.dtypes else (None,)
    for data_format, dtype in product(formats, dtypes):
        yield Rung(ladder, value, mode, kernel, data_format, dtype)


def case(rung: Rung, pick: Pick[Any], asked: Asked) -> Case:
    """The case of a rung: integers, mostly in float32 and in the first data_format claimed."""
    claimed = asked.capabilities
    paddings, formats = tuple(claimed.paddings), tuple(claimed.data_formats)
    others = [dtype for dtype in claimed.dtypes if dtype != "float32"]
    dtypes = [*([None] * max(len(others), 1) if "float32" in claimed.dtypes else []), *others]
    layer = rung.ladder.layer(rung.value, rung.kernel_size)
    if asked.costly_calls and layer.groups > 1:  # what is compiled soonest
        formats, dtypes = formats[:1], dtypes[:1]
    padding, _, remainder = rung.mode.partition(", ")
    strides = layer.strides
    if remainder and strides == (1, 1) and layer.dilation_rate == (1, 1):
        strides = (2, 2)
    if padding not in paddings:
        padding = paddings[0]
    extents = [
        effective_size(k, d) for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)
    ]
    rests = [
        -extent % s
        if remainder == "whole strides"
        else pick(range(1, s))
        if remainder and s > 1
        else 0
        for extent, s in zip(extents, strides, strict=True)
    ]
    h, w = (
        (out - 1) * s + (1 if padding == "same" else extent) + rest
        for out, s, extent, rest in zip(layer.output, strides, extents, rests, strict=True)
    )
    data_format = rung.data_format or pick((formats[0],) * 7 + formats)
    shape = (layer.batch, h, w, layer.channels)
    if data_format == "channels_first":
        shape = (layer.batch, layer.channels, h, w)
    return Case(
        input_shape=shape,
        filters=layer.filters,
        kernel_size=layer.kernel_size,
        strides=None if strides == (1, 1) else strides,
        padding=None if padding == "valid" else padding,
        dilation_rate=None if layer.dilation_rate == (1, 1) else layer.dilation_rate,
        groups=None if layer.groups == 1 else layer.groups,
        data_format=None if data_format == "channels_last" else data_format,
        use_bias=pick((None, False)),
        dtype=rung.dtype or pick(dtypes),
        data="integers",
        seed=pick(SEEDS),
        view=_view(rung.ladder, layer, pick),
    )


def _view(ladder: Ladder, layer: Layer, pick: Pick[Any]) -> str | None:
    """How the input lies in memory: where the output has axes of size 1, the input may have."""
    if ladder.relaxed:
        return "relaxed"
    return pick((None, "relaxed")) if layer.output in _SHORT else None
