"""Ladders: one axis large, the others cheap, at the sizes that engines block by.

Each rung is a value just below, at or just above a boundary; it comes twice, with another kernel:
as ``valid`` and as ``same``, once of these with a stride that leaves a remainder, and once with a
kernel of 3x3 where the kernel is open. Some ladders go
the other way: to inputs no larger than the kernel or of one dimension, to few channels in few
groups, to a single output. Most sizes come with groups too, each rung once. One ladder makes sizes
of two axes equal, which hides an axis taken for another, or lets it be taken; some have sizes that
engines pack, and the first layers of networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

from conformance.axes import DATA_FORMATS
from conformance.case import Case
from conformance.plan.asking import Asked
from conformance.plan.factors import FACTORS, NUMBER
from conformance.plan.rows import SEEDS, Pick
from reference_impl.geometry import Pair, effective_size

Modes = tuple[tuple[str, ...], ...]
MODES: Modes = (("valid", "same, remainder"), ("same", "valid, remainder"))
VALID, SAME, BOTH = (("valid",),), (("same",),), (("valid", "same"),)
_KERNELS: tuple[Pair, ...] = ((3, 3), (2, 3), (3, 2), (1, 3), (3, 1), (1, 1))


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


# Axes of size 1 may have any strides: an engine that finds the length of a row in them fails.
_SHORT = ((1, 1), (1, 2), (2, 1), (1, 7), (7, 1))
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


def _above(kernel_and_stride: Pair, kernel: Pair) -> Layer:
    size, stride = kernel_and_stride
    return Layer(kernel_size=(size,) * 2, strides=(stride,) * 2, output=(3, 2))


_LONG = tuple(product(("batch", "height", "width", "channels", "filters"), (32769, 65537)))
_STEPPING = tuple(product(("height", "width"), ("strides", "dilation_rate")))
_MANY = ((48, 96), (104, 208), (130, 129), (440, 440))
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
