"""Ladders: one axis large, the others cheap, at the sizes that engines block by.

Each rung is a value just below, at or just above a boundary; it comes twice, with another kernel:
as ``valid`` and as ``same``, once of these with a stride that leaves a remainder, and once with a
kernel of 3x3 where the kernel is open. Some ladders go
the other way: to inputs no larger than the kernel or of one dimension, to few channels in few
groups, to a single output. Most sizes come with groups too, each rung once. One ladder makes sizes
of two axes equal, which hides an axis taken for another, or lets it be taken; two have every two
axes large; some have sizes that engines pack, and the first layers of networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

from reference_impl.geometry import Pair

Modes = tuple[tuple[str, ...], ...]
MODES: Modes = (("valid", "same, remainder"), ("same", "valid, remainder"))
VALID, SAME, BOTH = (("valid",),), (("same",),), (("valid", "same"),)


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
        modes: how its rungs come; each has one of these tuples, by turns.
        formats: whether each comes in every data_format.
        dtypes: whether each comes in every dtype.
        relaxed: whether axes of size 1 have odd strides in each.
        kinds: of data that each comes with, besides integers; the usual ones where there are none.
    """

    name: str
    rungs: tuple[Any, ...]
    layer: Callable[[Any, Pair], Layer]
    modes: Modes = MODES
    formats: bool = False
    dtypes: bool = False
    relaxed: bool = False
    kinds: tuple[str, ...] = ()


def _around(*boundaries: int) -> tuple[int, ...]:
    return tuple(n for b in boundaries for n in (b - 1, b, b + 1))


def _sizes(*boundaries: int) -> tuple[int, ...]:
    """Around boundaries, and midway between: multiples of a pack that are no powers of two."""
    return tuple(sorted({*_around(*boundaries), *(b * 3 // 2 for b in boundaries[:-1])}))


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


def _few(numbers: Sequence[int], kernel: Pair) -> Layer:
    """A layer of so many groups, channels of a group and filters of a group."""
    groups, depth, each = numbers
    channels, filters = groups * depth, groups * each
    return Layer(
        groups=groups, channels=channels, filters=filters, kernel_size=kernel, output=(4, 3)
    )


_FEW = tuple(product((3, 2), (4, 3, 2, 1), (8, 2, 1)))
_STEMS = ((3, 1), (3, 2), (4, 4), (5, 2), (7, 2), (11, 4), (16, 16))
_FULL = ((7, 7), (5, 5), (4, 4), (3, 3), (2, 2), (2, 3), (4, 1), (1, 4))
_ONE_DIMENSION = tuple(product((2, 3, 5), (1, 2, 3, 4)))


_PACKS = ((2, 4, 4), (2, 8, 8), (3, 16, 4), (4, 4, 8))
_PACKED = tuple(product((3, 1), ((8, 16), (16, 8), (32, 32))))


def _line(taps: int, stride: int, *, along_width: bool) -> Layer:
    """A layer on an input of one row, or of one column."""
    shape = Layer(output=(1, 7), kernel_size=(1, taps), strides=(1, stride), channels=3)
    if along_width:
        return shape
    return replace(shape, output=(7, 1), kernel_size=(taps, 1), strides=(stride, 1))


def _long(rung: tuple[str, int], kernel: Pair) -> Layer:
    """A layer one of whose axes is as long as 15 or 16 bits count, and all others short."""
    name, n = rung

    def long(axis: str) -> int:
        return n if axis == name else 1

    return Layer(
        batch=long("batch"),
        output=(long("height"), long("width")),
        channels=long("channels"),
        filters=long("filters"),
        kernel_size=(3 if name == "height" else 1, 3 if name == "width" else 1),
    )


def _stepping(rung: tuple[str, str], kernel: Pair) -> Layer:
    """A long row or column on which windows take steps, or taps do: engines cut it into pieces."""
    axis, steps = rung
    along: Pair = (1, 3) if axis == "width" else (3, 1)
    shape = Layer(output=(1, 4099) if axis == "width" else (4099, 1), kernel_size=along)
    changed: dict[str, Any] = {steps: along}
    return replace(shape, **changed)


_LARGE: dict[str, dict[str, Any]] = {
    "batch": {"batch": 33},
    "positions": {"output": (33, 34)},
    "taps": {"kernel_size": (9, 9)},
    "channels": {"channels": 64},
    "filters": {"filters": 64},
}


def _two_large(names: tuple[str, str], kernel: Pair) -> Layer:
    shape = Layer(kernel_size=kernel)
    for name in names:
        shape = replace(shape, **_LARGE[name])
    return shape


def _above(kernel_and_stride: Pair, kernel: Pair) -> Layer:
    size, stride = kernel_and_stride
    return Layer(kernel_size=(size,) * 2, strides=(stride,) * 2, output=(3, 2))


_LONG = tuple(product(("batch", "height", "width", "channels", "filters"), (32769, 65537)))
_STEPPING = tuple(product(("height", "width"), ("strides", "dilation_rate")))
_MANY = ((48, 96), (104, 208), (130, 129), (440, 440))
_PAIRS_OF_LARGE = tuple(combinations(_LARGE, 2))
# Of two neighbours the digits are the same, in the order of (batch, height, channels, filters).
_ALIKE = ((1, 11, 2, 3), (11, 1, 2, 3), (1, 4, 1, 12), (1, 4, 11, 2))
_ABOVE = tuple((k, s) for s in (3, 4, 5) for k in range(s + 1, 2 * s + 2) if k != 2 * s)
_AXES = ("batch", "height", "width", "channels", "filters")

_LADDERS: tuple[Ladder, ...] = (
    Ladder(
        "input below the kernel",
        _TINY,
        lambda size, k: Layer(output=size, kernel_size=(3, 3)),
        modes=SAME,
        formats=True,
    ),
    Ladder(
        "depthwise input below the kernel",
        _TINY,
        lambda size, k: Layer(output=size, channels=4, filters=4, groups=4, kernel_size=(3, 3)),
        modes=SAME,
        formats=True,
    ),
    Ladder(
        "equal sizes",
        (*combinations(_AXES, 2), ("height", "groups"), ("width", "groups"), _AXES),
        _equal,
        modes=SAME,
        formats=True,
    ),
    Ladder(
        "few groups, 1x1",
        _FEW,
        lambda numbers, k: _few(numbers, (1, 1)),
        modes=VALID,
    ),
    Ladder(
        "few groups, 3x3",
        _FEW,
        lambda numbers, k: _few(numbers, (3, 3)),
        modes=SAME,
    ),
    Ladder(
        "groups of packs",
        _PACKS,
        lambda numbers, k: _few(numbers, (3, 3)),
        modes=BOTH,
        formats=True,
    ),
    Ladder(
        "packs",
        _PACKED,
        lambda pair, k: Layer(
            batch=2,
            kernel_size=(pair[0],) * 2,
            channels=pair[1][0],
            filters=pair[1][1],
        ),
        modes=(*VALID, *SAME),
        dtypes=True,
    ),
    Ladder(
        "batch of single outputs",
        (32, 33, 64),
        lambda n, k: Layer(batch=n, output=(1, 1), kernel_size=(2, 2)),
        modes=VALID,
    ),
    Ladder(
        "first layers",
        _STEMS,
        lambda pair, k: Layer(
            kernel_size=(pair[0],) * 2,
            strides=(pair[1],) * 2,
            channels=3,
            filters=64,
            output=(6, 5),
        ),
        modes=BOTH,
    ),
    Ladder(
        "kernel as large as the input",
        _FULL,
        lambda kernel, k: Layer(output=(1, 1), channels=6, filters=5, kernel_size=kernel),
        modes=VALID,
    ),
    Ladder(
        "one row",
        _ONE_DIMENSION,
        lambda pair, k: _line(*pair, along_width=True),
        modes=BOTH,
    ),
    Ladder(
        "one column",
        _ONE_DIMENSION,
        lambda pair, k: _line(*pair, along_width=False),
        modes=BOTH,
    ),
    Ladder(
        "one channel below the kernel",
        _TINY[:12],
        lambda size, k: Layer(output=size, channels=1, filters=1, kernel_size=(5, 5)),
        modes=SAME,
    ),
    Ladder(
        "a single output",
        ((5, 5), (1, 3), (3, 1), (2, 2), (3, 3), (1, 1)),
        lambda kernel, k: Layer(output=(1, 1), channels=1, filters=1, kernel_size=kernel),
        modes=VALID,
        dtypes=True,
    ),
    Ladder(
        "a single pixel",
        ((2, 1), (1, 2), (2, 2)),
        lambda pair, k: Layer(batch=3, strides=pair, kernel_size=(3, 2), output=(1, 1), filters=3),
        modes=SAME,
        formats=True,
        relaxed=True,
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
        _sizes(32, 64, 128, 256),
        lambda n, k: Layer(channels=n, kernel_size=k),
    ),
    Ladder(
        "filters",
        _sizes(32, 64, 128, 256, 512, 1024),
        lambda n, k: Layer(filters=n, kernel_size=k),
    ),
    Ladder(
        "groups",
        _around(8, 16, 32, 64, 128, 256),
        lambda n, k: Layer(groups=n, channels=2 * n, filters=n, kernel_size=k),
    ),
    Ladder(
        "depthwise channels",
        _sizes(16, 32, 64, 128, 256),
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
        "strides above the input",
        ((3, 3), (4, 5), (5, 4)),
        lambda pair, k: Layer(strides=pair, kernel_size=k, output=(1, 1), channels=3, filters=4),
        modes=(("same, remainder",),),
    ),
    Ladder(
        "dilation",
        (*((n, n) for n in (5, 8, 9, 16, 17, 18)), (18, 1), (1, 18), (6, 2), (2, 12)),
        lambda pair, k: Layer(dilation_rate=pair, kernel_size=(max(k[0], 2), max(k[1], 2))),
        modes=BOTH,
    ),
    Ladder(
        "kernel_size and strides",
        tuple((n, n) for n in (2, 3, 5, 7, 8, 14, 15, 16)),
        lambda pair, k: Layer(kernel_size=pair, strides=pair, channels=3, output=(3, 4)),
        formats=True,
    ),
    Ladder(
        "one row of channels",
        ((8, 3), (32, 3), (64, 5), (352, 3)),
        lambda pair, k: replace(_line(pair[1], 1, along_width=True), channels=pair[0]),
        modes=(*VALID, *SAME),
    ),
    Ladder(
        "one row, depthwise",
        (8, 9, 32, 64),
        lambda n, k: replace(_line(3, 1, along_width=True), channels=n, filters=n, groups=n),
        modes=(*VALID, *SAME),
        formats=True,
    ),
    Ladder(
        "channels and filters",
        ((48, 48), (64, 64), (72, 136), (96, 96), (130, 129), (128, 128)),
        lambda pair, k: Layer(channels=pair[0], filters=pair[1], kernel_size=k),
    ),
    Ladder(
        "channels and filters, 1x1",
        _MANY,
        lambda pair, k: Layer(channels=pair[0], filters=pair[1]),
        modes=(*VALID, *SAME),
    ),
    Ladder(
        "channels and positions",
        ((96, (16, 17)), (256, (13, 15))),
        lambda pair, k: Layer(channels=pair[0], output=pair[1], filters=4, kernel_size=k),
        modes=(*VALID, *SAME),
        dtypes=True,
    ),
    Ladder("two large axes", _PAIRS_OF_LARGE, _two_large, modes=(*VALID, *SAME), dtypes=True),
    Ladder(
        "two large axes, two groups",
        _PAIRS_OF_LARGE,
        lambda names, k: replace(_two_large(names, k), groups=2),
        modes=(*SAME, *VALID),
    ),
    Ladder(
        "a single pixel of many channels, 1x1",
        ((32, 64), (64, 32), (96, 96)),
        lambda pair, k: Layer(channels=pair[0], filters=pair[1], output=(1, 1)),
        modes=VALID,
        dtypes=True,
    ),
    Ladder(
        "a long kernel and many filters",
        ((1, 63), (63, 1), (11, 11)),
        lambda kernel, k: Layer(channels=1, filters=32, kernel_size=kernel, output=(9, 10)),
        modes=(*VALID, *SAME),
    ),
    Ladder(
        "many positions and channels, 1x1",
        ((96, (181, 182)),),
        lambda pair, k: Layer(channels=pair[0], output=pair[1], filters=1),
        modes=VALID,
        dtypes=True,
    ),
    Ladder(
        "sizes of the same digits",
        _ALIKE,
        lambda sizes, k: Layer(
            batch=sizes[0], output=(sizes[1], 4), channels=sizes[2], filters=sizes[3]
        ),
        modes=VALID,
        formats=True,
        dtypes=True,
    ),
    Ladder("a long axis in steps", _STEPPING, _stepping, modes=BOTH),
    Ladder(
        "values of a plain 3x3",  # what is computed by transforms, which have a range of their own
        ((8, 9),),
        lambda size, k: Layer(output=size, channels=8, filters=8, kernel_size=(3, 3)),
        modes=(*VALID, *SAME),
        dtypes=True,
        kinds=("uneven", "huge"),
    ),
    Ladder("kernel above the strides", _ABOVE, _above, modes=(("valid, whole strides",),)),
    Ladder("a long axis", _LONG, _long, modes=VALID),
    Ladder(
        "a long row or column",
        (("height", 32769), ("width", 32769)),
        _long,
        modes=VALID,
        formats=True,
        dtypes=True,
    ),
    Ladder(
        "kernel of many taps",  # more than 15 bits count
        ((182, 182),),
        lambda kernel, k: Layer(kernel_size=kernel, channels=1, filters=1, output=(2, 2)),
        modes=VALID,
        dtypes=True,
    ),
    Ladder(
        "a batch of many channels",
        ((128, 128),),
        lambda pair, k: Layer(
            batch=3, channels=pair[0], filters=pair[1], kernel_size=(3, 3), output=(4, 3)
        ),
        modes=SAME,
        dtypes=True,
    ),
    Ladder(
        "few channels, 1x1",  # of which one layout can be taken for the other
        ((3, 5), (4, 4), (7, 3)),
        lambda pair, k: Layer(channels=pair[0], filters=pair[1]),
        modes=VALID,
        formats=True,
        dtypes=True,
    ),
)
# Rungs that come with two groups as well: engines compute these by other code.
_GROUPED: dict[str, tuple[Any, ...]] = {
    "batch": (9, 33, 65),
    "output height": (33, 129),
    "output width": (33, 129),
    "kernel height": (9, 31),
    "kernel width": (9, 31),
    "kernel height and width": (9, 11),
    "strides": ((5, 2), (16, 16)),
    "dilation": ((2, 12), (18, 18)),
}


def _grouped(ladder: Ladder, rungs: tuple[Any, ...]) -> Ladder:
    return Ladder(
        f"{ladder.name}, groups",
        rungs,
        lambda value, k: replace(ladder.layer(value, k), groups=2, channels=4, filters=4),
        modes=(("valid",), ("same, remainder",)),
    )


LADDERS = (
    *_LADDERS,
    *(_grouped(one, _GROUPED[one.name]) for one in _LADDERS if one.name in _GROUPED),
)
