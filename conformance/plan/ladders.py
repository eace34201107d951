"""Ladders: one axis large, the others cheap, at the sizes that engines block by.

Each rung is a value just below, at or just above a boundary, as ``valid``, as ``same`` or with a
stride that leaves a remainder; the last rung of each axis comes in all three. Two ladders go the
other way, to inputs smaller than the kernel; one makes sizes of two axes equal, which hides an axis
taken for another, or lets it be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from conformance.axes import DATA_FORMATS
from conformance.case import Case
from conformance.plan.asking import Asked
from conformance.plan.rows import SEEDS, Pick
from reference_impl.geometry import Pair, effective_size

MODES = ("valid", "same", "remainder")
_KERNELS: tuple[Pair, ...] = ((3, 3), (1, 1), (2, 3), (3, 2), (1, 3), (3, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The numbers of a rung; the output is at least as large."""

    batch: int = 1
    output: Pair = (3, 2)
    channels: int = 2
    filters: int = 2
    groups: int = 1
    kernel_size: Pair = (1, 1)
    strides: Pair = (1, 1)
    dilation_rate: Pair = (1, 1)


@dataclass(frozen=True, slots=True)
class Ladder:
    """An axis and its rungs.

    Attributes:
        name: of the axis.
        rungs: its values, ascending.
        layer: the layer of a value, with a kernel to use where the axis leaves that open.
        modes: how its rungs come.
        formats: whether each comes in every data_format.
    """

    name: str
    rungs: tuple[Any, ...]
    layer: Callable[[Any, Pair], Layer]
    modes: tuple[str, ...] = MODES
    formats: bool = False


def _around(*boundaries: int) -> tuple[int, ...]:
    return tuple(n for b in boundaries for n in (b - 1, b, b + 1))


def _products(value: int, kernel: Pair) -> Layer:
    """kh * kw * channels is the value."""
    for kh, kw in ((3, 3), (5, 5), (4, 4), (5, 3), (3, 1), (1, 17), (1, 3), (1, 1)):
        if value % (kh * kw) == 0:
            return Layer(channels=value // (kh * kw), kernel_size=(kh, kw), output=(2, 2))
    raise AssertionError(value)


_TINY = tuple((h, w) for h in (4, 3, 2, 1) for w in (4, 3, 2, 1))


def _equal(names: tuple[str, ...], kernel: Pair) -> Layer:
    """A layer in which the sizes of some axes are equal."""
    n = 5
    return Layer(
        batch=n if "batch" in names else 2,
        output=(n if "height" in names else 3, n if "width" in names else 4),
        channels=2 * n if "groups" in names else n if "channels" in names else 2,
        filters=2 * n if "groups" in names else n if "filters" in names else 3,
        groups=n if "groups" in names else 1,
        kernel_size=(3, 3),
    )


_AXES = ("batch", "height", "width", "channels", "filters")

LADDERS: tuple[Ladder, ...] = (
    Ladder(
        "input below the kernel",
        _TINY,
        lambda size, k: Layer(output=size, kernel_size=(3, 3)),
        modes=("same",),
        formats=True,
    ),
    Ladder(
        "depthwise input below the kernel",
        _TINY,
        lambda size, k: Layer(output=size, channels=4, filters=4, groups=4, kernel_size=(3, 3)),
        modes=("same",),
        formats=True,
    ),
    Ladder(
        "equal sizes",
        (*combinations(_AXES, 2), ("height", "groups"), ("width", "groups"), _AXES),
        _equal,
        modes=("same",),
        formats=True,
    ),
    Ladder("batch", _around(8, 16, 32, 64), lambda n, k: Layer(batch=n, kernel_size=k)),
    Ladder(
        "output height",
        _around(16, 32, 64, 128, 256),
        lambda n, k: Layer(output=(n, 2), kernel_size=k),
    ),
    Ladder(
        "output width",
        _around(16, 32, 64, 128, 256),
        lambda n, k: Layer(output=(2, n), kernel_size=k),
    ),
    Ladder(
        "channels",
        _around(32, 64, 128, 256),
        lambda n, k: Layer(channels=n, kernel_size=k),
    ),
    Ladder(
        "filters",
        _around(32, 64, 128, 256, 512, 1024),
        lambda n, k: Layer(filters=n, kernel_size=k),
    ),
    Ladder(
        "groups",
        _around(8, 16, 32, 64, 128, 256),
        lambda n, k: Layer(groups=n, channels=2 * n, filters=n, kernel_size=k),
    ),
    Ladder(
        "depthwise channels",
        _around(16, 32, 64, 128, 256),
        lambda n, k: Layer(groups=n, channels=n, filters=n, kernel_size=k),
    ),
    Ladder("products", _around(1024, 4096), _products),
    Ladder(
        "output positions",
        ((255, 257), (256, 256), (257, 256)),
        lambda size, k: Layer(output=size, channels=1, filters=1, kernel_size=k),
    ),
    Ladder(
        "output elements",
        ((99, 331, 2), (128, 128, 4), (113, 117, 5)),
        lambda size, k: Layer(output=size[:2], channels=1, filters=size[2], kernel_size=k),
    ),
    Ladder(
        "input elements",
        ((97, 113, 7),),
        lambda size, k: Layer(output=size[:2], channels=size[2], filters=1, kernel_size=k),
    ),
    Ladder(
        "kernel height", (7, 9, 11, 31, 300), lambda n, k: Layer(kernel_size=(n, 1), output=(5, 2))
    ),
    Ladder(
        "kernel width", (7, 9, 11, 31, 300), lambda n, k: Layer(kernel_size=(1, n), output=(2, 5))
    ),
    Ladder(
        "kernel height and width",
        (7, 9, 11, 31),
        lambda n, k: Layer(kernel_size=(n, n), channels=1, output=(4, 5)),
    ),
    Ladder(
        "input height and width",
        ((300, 2), (2, 300)),
        lambda size, k: Layer(output=size, kernel_size=k, strides=(1, 1)),
    ),
    Ladder(
        "strides",
        (*((n, n) for n in (5, 7, 8, 15, 16)), (16, 1), (1, 16), (5, 2), (2, 7)),
        lambda pair, k: Layer(strides=pair, kernel_size=k, output=(4, 3)),
    ),
    Ladder(
        "dilation",
        (*((n, n) for n in (5, 8, 9, 16, 17, 18)), (18, 1), (1, 18), (6, 2), (2, 12)),
        lambda pair, k: Layer(dilation_rate=pair, kernel_size=(max(k[0], 2), max(k[1], 2))),
    ),
    Ladder(
        "kernel_size and strides",
        tuple((n, n) for n in (2, 3, 5, 7, 8, 14, 15, 16)),
        lambda pair, k: Layer(kernel_size=pair, strides=pair, channels=3, output=(3, 4)),
    ),
)


@dataclass(frozen=True, slots=True)
class Rung:
    """One value of a ladder, in one mode."""

    ladder: Ladder
    value: Any
    mode: str
    kernel_size: Pair
    data_format: str | None = None


def rungs() -> Iterator[Rung]:
    """Every rung once, the last of each ladder first and in every mode."""
    number = 0
    for nth in range(len(MODES)):
        for ladder in LADDERS:
            for mode in ladder.modes[nth : nth + 1]:
                kernel = _KERNELS[number % len(_KERNELS)]
                yield from _in_formats(Rung(ladder, ladder.rungs[-1], mode, kernel))
                number += 1
    for at, ladder in enumerate(LADDERS):
        modes = ladder.modes
        for n, value in enumerate(ladder.rungs[:-1]):
            kernel = _KERNELS[(at + n + n // len(_KERNELS)) % len(_KERNELS)]
            mode = modes[(at + n + n // len(modes)) % len(modes)]
            yield from _in_formats(Rung(ladder, value, mode, kernel))


def _in_formats(rung: Rung) -> Iterator[Rung]:
    formats = tuple(DATA_FORMATS.values()) if rung.ladder.formats else (None,)
    return (replace(rung, data_format=data_format) for data_format in formats)


def case(rung: Rung, pick: Pick[Any], asked: Asked) -> Case:
    """The case of a rung: integers, mostly in float32 and in the first data_format claimed."""
    claimed = asked.capabilities
    paddings, formats = tuple(claimed.paddings), tuple(claimed.data_formats)
    others = [dtype for dtype in claimed.dtypes if dtype != "float32"]
    dtypes = [*([None] * max(len(others), 1) if "float32" in claimed.dtypes else []), *others]
    layer = rung.ladder.layer(rung.value, rung.kernel_size)
    mode, strides = rung.mode, layer.strides
    if mode == "remainder" and strides == (1, 1) and layer.dilation_rate == (1, 1):
        strides = (2, 2)
    padding = "same" if mode == "same" else "valid"
    if mode == "remainder":
        padding = pick(paddings)
    if padding not in paddings:
        padding = paddings[0]
    extents = [
        effective_size(k, d) for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)
    ]
    rests = [pick(range(1, s)) if mode == "remainder" and s > 1 else 0 for s in strides]
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
        dtype=pick(dtypes),
        data="integers",
        seed=pick(SEEDS),
    )
